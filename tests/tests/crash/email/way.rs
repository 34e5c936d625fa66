//! The way of a device to a registered address, which goes on from wherever it is.

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use switchhook_protocol::{endpoint::EndpointId, id::AttemptId, registration::Credentials};
use switchhook_tests::profile::{PASSWORD, email};

use super::{BOB, Death, Left, Step, Then, cast::Cast};
use crate::stage::{mails_in_doubt, post_link, resend_mail};

/// What a device has got on its way to a registered address.
#[derive(Default)]
pub(super) struct Way {
    profile: Option<Credentials>,
    /// Whether the host has its wish.
    asked: bool,
    attempt: Option<AttemptId>,
    token: Option<String>,
    confirmed: bool,
    told: bool,
    address: Option<Credentials>,
}

impl Way {
    /// Goes on from where it is; the process dies at the armed point, and this ends with an error.
    pub(super) async fn go(&mut self, cast: &mut Cast, death: Option<&Death<Left>>) -> Result<()> {
        cast.arm(death, Step::SignIn).await?;
        let email = email(&cast.phone)?;
        let bob: EndpointId = BOB.parse()?;
        if self.profile.is_none() {
            self.profile = Some(email.sign_in("bob", PASSWORD).await?);
        }
        let profile = self.profile.clone().context("not signed in")?;
        cast.arm(death, Step::Validate).await?;
        if !self.asked {
            self.attempt = Some(email.validate(&profile, std::slice::from_ref(&bob)).await?.attempt);
            self.asked = true;
            cast.mail_is_done().await?;
        }
        if self.token.is_none() {
            self.token = Some(cast.smtp.next_mail().await?.token()?);
        }
        let token = self.token.clone().context("no token")?;
        if !self.confirmed {
            let status = post_link(&cast.stage, &token).await?;
            ensure!(status == StatusCode::OK, "{status}");
            self.confirmed = true;
        }
        if !self.told {
            let notice = cast.notice().await?;
            ensure!(notice.word == "validated" && notice.endpoint.as_ref() == Some(&bob), "{notice:?}");
            self.told = true;
        }
        if self.address.is_none() {
            self.address = match self.attempt.clone() {
                Some(attempt) => email.answer(&attempt, &bob, true).await?,
                None => Some(email.activate(&profile, &bob).await?),
            };
        }
        cast.arm(death, Step::Register).await?;
        email.register(&profile, self.address.as_ref().context("no credentials")?).await?;
        Ok(())
    }

    /// What the device knows and does after the process has died.
    pub(super) async fn after(&mut self, cast: &Cast, death: &Death<Left>) -> Result<()> {
        match death.left.then {
            Then::AskedAgain => {}
            Then::Mailed | Then::Arrived => self.asked = true,
            Then::Resent => {
                self.asked = true;
                let in_doubt = mails_in_doubt(&cast.stage).await?;
                resend_mail(&cast.stage, in_doubt.first().context("nothing is in doubt")?).await?;
            }
            Then::Confirmed => {
                let token = self.token.clone().context("no token")?;
                ensure!(post_link(&cast.stage, &token).await? == StatusCode::GONE);
                self.confirmed = true;
            }
            Then::Answered => {
                let (attempt, bob) = (self.attempt.take().context("no attempt")?, BOB.parse()?);
                ensure!(email(&cast.phone)?.answer(&attempt, &bob, true).await.is_err(), "it counted twice");
            }
            Then::Told => {
                if !self.confirmed {
                    let token = self.token.clone().context("no token")?;
                    ensure!(post_link(&cast.stage, &token).await? == StatusCode::GONE);
                    self.confirmed = true;
                }
                self.attempt = None;
            }
        }
        Ok(())
    }
}
