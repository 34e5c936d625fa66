//! An e-mail address is registered: the user signs in, a mail proves the address, the client finds its token itself.

use std::slice;

use anyhow::{Context as _, ensure};
use serde_json::json;
use switchhook_client::profile::EmailRegistration;
use switchhook_protocol::{endpoint::EndpointId, event::Event, registration::RegisterLink};

use super::{
    phone::{Phone, in_time},
    stage::Stage,
};

const USER: &str = "alice";
const PASSWORD: &str = "correct horse battery staple";
const ADDRESS: &str = "alice@example.org";

/// Header of the mail that has the token.
const TOKEN: &str = "Switchhook-Token: ";

pub(super) async fn registered(stage: &Stage, alice: &mut Phone) -> anyhow::Result<()> {
    let (timeline, address): (_, EndpointId) = (&stage.timeline, ADDRESS.parse()?);
    stage.make("users", &json!({ "user": USER, "password": PASSWORD, "addresses": [] })).await?;
    timeline
        .step("operator", &format!("makes the user {USER}; the host keeps an Argon2id hash of the password"));
    let email = EmailRegistration::new(alice.client.clone())?;

    let profile = in_time("the sign-in", email.sign_in(USER, PASSWORD)).await??;
    timeline.step(
        alice.name,
        "signs in: the method never sees the password, the device gets profile credentials",
    );
    let asked = in_time("the answer", email.validate(&profile, slice::from_ref(&address))).await??;
    timeline.step(alice.name, &format!("wants {ADDRESS} validated; neither profile nor directory knows it"));

    let mail = in_time("the mail", stage.mailboxes.next_mail(&address, 0)).await?;
    let token = mail.lines().find_map(|line| line.strip_prefix(TOKEN)).context("the mail has no token")?;
    timeline.step("mail server", &format!("has a mail to {ADDRESS} with a token"));
    let found = RegisterLink { address: address.clone(), token: token.to_owned() };
    in_time("the answer", alice.client.register_link(&found)).await??;
    timeline.step(alice.name, "finds the token in its mailbox and posts it");
    let notice =
        alice.expect("word", |event| if let Event::Notice(it) = event { Some(it) } else { None }).await?;
    ensure!(notice.word == "validated" && notice.endpoint.as_ref() == Some(&address), "{notice:?}");
    timeline.step(alice.name, "hears that the address is validated; its user says yes");

    let held = in_time("the answer", email.answer(&asked.attempt, &address, true)).await??;
    let held = held.context("no address credentials")?;
    in_time("the registration", email.register(&profile, &held)).await??;
    timeline.step(
        alice.name,
        "registers it by both credentials; login credentials let it do so again without a person",
    );
    stage.tell_decisions().await
}
