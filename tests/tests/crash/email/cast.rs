//! A server whose tenant registers by mail, a mail server, and the devices of one user.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use switchhook_client::ClientEvent;
use switchhook_protocol::event::{Event, Notice};
use switchhook_tests::{
    phone::Phone,
    profile::{sign_in, user, validate},
    smtp::Smtp,
};

use super::{BOB, Death, Left, Step};
use crate::stage::{PROGRAM, Stage, registrations};

/// The last point that a mail passes, from the request to the step in which the method hears of its sending.
const MAIL_IS_DONE: &str = "commit.register-sent.after";

/// A server whose tenant registers by mail, and the devices of one user.
pub(super) struct Cast {
    pub(super) stage: Stage,
    pub(super) smtp: Smtp,
    pub(super) phone: Phone,
    /// Has asked before.
    pub(super) tablet: Phone,
    /// Asks for nothing.
    watch: Phone,
}

impl Cast {
    pub(super) async fn start(test: &str) -> Result<Option<Self>> {
        let Some(mut smtp) = Smtp::start(test).await? else { return Ok(None) };
        let stage = Stage::start(PROGRAM).await?;
        let words = |settings: &mut Value| {
            if let Some(settings) = settings.as_object_mut() {
                settings.insert("template".to_owned(), json!({ "subject": "Hello", "text": "{token}" }));
            }
        };
        smtp.connect_with(&stage.admin, words).await?;
        user(&stage.admin, "bob", &[]).await?;
        let (tablet, watch) = (stage.phone().await?, stage.phone().await?);
        sign_in(&watch, "bob").await?;
        validate(&tablet, &sign_in(&tablet, "bob").await?, &[BOB]).await?;
        ensure!(smtp.next_mail().await?.to == [BOB]);
        ensure!(stage.process.passes(MAIL_IS_DONE, 1).await?, "the process died");
        let phone = stage.phone().await?;
        Ok(Some(Self { stage, smtp, phone, tablet, watch }))
    }

    /// From this step on the process dies.
    pub(super) async fn arm(&mut self, death: Option<&Death<Left>>, step: Step) -> Result<()> {
        match death {
            Some(death) if death.left.step == step => self.stage.process.arm(death.point).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Waits until the phone's mail is sent and its method knows it. The tablet's was the first, in the first process.
    pub(super) async fn mail_is_done(&self) -> Result<()> {
        let enrolled = self.stage.process.passed().iter().any(|point| point == "commit.enrol.after");
        let times = if enrolled { 2 } else { 1 };
        if self.stage.process.passes(MAIL_IS_DONE, times).await? { Ok(()) } else { bail!("it has died") }
    }

    /// What the phone is told; an error if the process dies before that.
    pub(super) async fn notice(&mut self) -> Result<Notice> {
        tokio::select! {
            biased;
            notice = self.phone.expect_notice() => notice,
            ended = self.stage.process.ended() => bail!("it has died: {}", ended?),
        }
    }

    /// How often each device has heard that the address is validated, beyond what its user was told.
    pub(super) async fn told(&mut self) -> Result<[usize; 3]> {
        let mut told = [0; 3];
        for (device, told) in [&mut self.phone, &mut self.tablet, &mut self.watch].into_iter().zip(&mut told)
        {
            registrations(device).await?;
            let is_word = |event: &&ClientEvent| matches!(event, ClientEvent::Event(it) if matches!(&it.event, Event::Notice(_)));
            *told = device.heard().await?.iter().filter(is_word).count();
        }
        Ok(told)
    }
}
