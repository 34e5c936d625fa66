//! The server dies where it hurts, and starts again.
//!
//! The points where it dies are named in its code: before and after each commit and each effect on
//! the outside. Which of them a registration passes is asked of a registration that goes well, so
//! that a new one is not forgotten; then a registration dies at each of them, one after the other.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use reqwest::StatusCode;
use switchhook_client::{
    CallError, Client,
    identity::{DeviceKey, Identity},
    network::SystemNetwork,
    registration::{begin_text, keep_text, validate},
};
use switchhook_protocol::{endpoint::EndpointId, event::Event};
use switchhook_server::{ADMIN_TOKEN, NotTaken, SANDBOX_NUMBER, SandboxFile, TextReport};
use switchhook_tests::{
    admin::Admin,
    host::{Transit, client_settings, tenant},
    phone::{Net, Phone},
    process::Process,
    waiting::{in_time, until},
};
use tempfile::TempDir;
use tokio::sync::watch;

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchhook-under-test");

/// What a registration by SMS passes, whatever else it may pass: the test fails where one is missing, so
/// that it cannot become a test of nothing.
const AT_LEAST: [&str; 7] = [
    "commit.enrol",
    "commit.register-text",
    "commit.claim-outbox",
    "effect.send-text",
    "commit.outbox-sent",
    "commit.register-sent",
    "commit.register-validate",
];

/// Died here, nobody knows whether the text went out.
const IN_DOUBT: [&str; 4] = [
    "commit.claim-outbox.after",
    "effect.send-text.before",
    "effect.send-text.after",
    "commit.outbox-sent.before",
];

/// An installation whose server may die.
struct Installation {
    process: Process,
    http: SocketAddr,
    data: PathBuf,
    transit: Transit,
    admin: Admin,
    /// Counts the starts.
    starts: watch::Sender<u64>,
    _folder: TempDir,
}

/// REG-2, REG-3, REG-4
#[tokio::test]
async fn inv_11_a_registration_survives_the_death_of_the_server_at_every_point() -> Result<()> {
    let mut installation = Installation::start().await?;
    let points = installation.points().await?;
    let mut confirmed = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let number: EndpointId = format!("+1555020{index:02}").parse()?;
        let identity = installation.die_at(point, &number).await.with_context(|| point.clone())?;
        confirmed.push((point, number, identity));
    }
    // Whatever was confirmed is there, after all the deaths that came later.
    for (point, number, identity) in confirmed {
        let phone = Phone::connect(installation.client_settings()?, identity).await?;
        assert_eq!(phone.registrations().await?, [number], "{point}");
    }
    Ok(())
}

#[tokio::test]
async fn inv_11_the_old_ticket_completes_the_call_after_the_host_was_killed() -> Result<()> {
    let mut installation = Installation::start().await?;
    let mut alice = installation.phone("+15550100").await?;
    let mut bob = installation.phone("+15550101").await?;
    let network: Net = std::sync::Arc::new(SystemNetwork::on(std::net::Ipv4Addr::LOCALHOST.into()));
    let prepared = alice.prepare(&network).await?;
    let invite = alice.invite_of(&prepared, &["+15550101"])?;
    let status = in_time("the invite", alice.client.invite(&invite)).await??;
    let rung = bob.expect_invite().await?;
    let accept = Phone::accept_of(&bob.prepare(&network).await?, &rung);

    installation.process.kill().await?;
    installation.restart().await?;

    let answer = in_time("the accept", async {
        loop {
            match bob.rings.accept(&rung, &accept).await {
                Err(CallError::ConnectionLost) => {}
                answer => return answer,
            }
        }
    })
    .await??;
    let pushed = alice.expect_accept(&status.session).await?;
    assert_eq!((&pushed.session, &answer.session), (&rung.session, &status.session));
    assert_eq!(pushed.media_key, answer.media_key);
    assert_eq!(installation.admin.invitation_state(&status.session).await?, "taken");
    let heard = bob.heard().await?;
    let again = heard.iter().any(|event| {
        use switchhook_client::ClientEvent;
        matches!(event, ClientEvent::Event(delivered) if matches!(delivered.event, Event::Invite(_)))
    });
    assert!(!again, "what was acknowledged or seen does not ring again: {heard:?}");
    Ok(())
}

impl Installation {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let process = Process::start(PROGRAM, &data, None).await?;
        let http = process.http;
        let token = std::fs::read_to_string(data.join(ADMIN_TOKEN))?;
        let admin = Admin::new(http, token.trim());
        let secret = SandboxFile::read(&data)?.secret;
        let transit = Transit::start(http, &tenant("default")?, secret).await?;
        admin.put_gateway(&transit.send_url, &transit.secret).await?;
        Ok(Self { process, http, data, transit, admin, starts: watch::Sender::new(1), _folder: folder })
    }

    /// Starts the server again, where it was.
    async fn restart(&mut self) -> Result<()> {
        self.process = Process::start(PROGRAM, &self.data, Some(self.http)).await?;
        self.starts.send_modify(|starts| *starts += 1);
        Ok(())
    }

    fn client_settings(&self) -> Result<switchhook_client::Settings> {
        client_settings(self.http, "default", "phone")
    }

    async fn phone(&self, number: &str) -> Result<Phone> {
        let mut phone = Phone::enrol(self.client_settings()?).await?;
        phone.register(&self.transit.carrier, &number.parse()?).await?;
        Ok(phone)
    }

    /// The points that a registration passes.
    async fn points(&self) -> Result<Vec<String>> {
        let before = self.process.passed().len();
        let number: EndpointId = "+15550299".parse()?;
        self.person(&number).register().await?;
        until("the last commit", async || {
            self.admin.public("healthz").await?;
            Ok(self.process.passed().iter().any(|point| point == "commit.register-sent.after").then_some(()))
        })
        .await?;
        let passed: BTreeSet<String> = self.process.passed().into_iter().skip(before).collect();
        for point in AT_LEAST {
            for moment in ["before", "after"] {
                let point = format!("{point}.{moment}");
                assert!(passed.contains(&point), "{point} is not passed: {passed:?}");
            }
        }
        Ok(passed.into_iter().collect())
    }

    /// A registration whose server dies at this point; the device's identity afterwards.
    async fn die_at(&mut self, point: &str, number: &EndpointId) -> Result<Identity> {
        let doubtful = IN_DOUBT.contains(&point);
        self.process.arm(point).await?;
        let mut registration = Box::pin(self.person(number).register());

        // The server dies under the registration, or right after it.
        let died = tokio::select! {
            identity = &mut registration => Some(identity?),
            status = self.process.ended() => {
                assert!(!status?.success(), "it was to die");
                None
            }
        };
        if died.is_some() {
            assert!(!self.process.ended().await?.success(), "it was to die");
        }
        self.restart().await?;

        // What is in doubt is reported. It is sent again only where the phone has nothing, and on request.
        let in_doubt = self.admin.in_doubt().await?;
        assert_eq!(in_doubt.len(), usize::from(doubtful), "in doubt");
        if doubtful && self.transit.count(number) == 0 {
            assert_eq!(self.admin.resend(&in_doubt[0]).await?, StatusCode::ACCEPTED);
        }
        let identity = match died {
            Some(identity) => identity,
            None => in_time("the registration", registration).await??,
        };
        assert_eq!(self.transit.count(number), 1, "texts to the phone");
        self.settle_doubt().await?;
        Ok(identity)
    }

    /// Texts in doubt of former points would be counted again: they are sent, to numbers that are done.
    async fn settle_doubt(&self) -> Result<()> {
        for text in self.admin.in_doubt().await? {
            self.admin.resend(&text).await?;
        }
        until("no doubt", async || Ok(self.admin.in_doubt().await?.is_empty().then_some(()))).await
    }

    /// A person with a phone and a carrier who do not give up.
    fn person(&self, number: &EndpointId) -> Person {
        Person {
            number: number.clone(),
            carrier: self.transit.carrier.clone(),
            settings: self.client_settings(),
            starts: self.starts.subscribe(),
        }
    }
}

/// A registration by a device and a transit that try again until they are answered.
struct Person {
    number: EndpointId,
    carrier: switchhook_server::Carrier,
    settings: Result<switchhook_client::Settings>,
    starts: watch::Receiver<u64>,
}

impl Person {
    async fn register(mut self) -> Result<Identity> {
        let settings = self.settings?;
        // The key is stored before it is enrolled; who is not answered enrols it again.
        let key = DeviceKey::generate(&mut rand::rng());
        let mut identity = loop {
            let start = *self.starts.borrow_and_update();
            match Client::enrol(&settings, key.clone()).await {
                Ok(identity) => break identity,
                Err(_) => next_start(&mut self.starts, start).await?,
            }
        };

        // A transit repeats its report under the same id until it is answered.
        let report = TextReport {
            id: format!("report-{}", identity.device),
            from: self.number.clone(),
            to: SANDBOX_NUMBER.to_owned(),
            text: begin_text(&identity),
        };
        loop {
            let start = *self.starts.borrow_and_update();
            match self.carrier.report(&report).await {
                Ok(_) => break,
                Err(NotTaken::Unreached(_)) => next_start(&mut self.starts, start).await?,
                Err(refused @ NotTaken::Refused(_)) => bail!("the report is refused: {refused}"),
            }
        }

        let text = self.carrier.next_text(&self.number, 0).await;
        keep_text(&mut identity, &text).context("the SMS is no signature")?;
        // The client comes back by itself; what was not answered is said again.
        let (client, _events) = Client::start(settings, identity.clone());
        loop {
            match validate(&client, &mut identity).await {
                Ok(_) => break,
                Err(CallError::ConnectionLost) => {}
                Err(refused) => bail!("the registration is refused: {refused}"),
            }
        }
        client.close().await;
        assert!(identity.registrations.iter().all(|known| known.confirmed));
        Ok(identity)
    }
}

async fn next_start(starts: &mut watch::Receiver<u64>, seen: u64) -> Result<()> {
    starts.wait_for(|start| *start > seen).await?;
    Ok(())
}
