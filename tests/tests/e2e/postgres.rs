//! The whole server on PostgreSQL: a registration, a call, its end, a hunt over a restart, what is explained.

use anyhow::Result;
use serde_json::Value;
use switchhook_client::CallError;
use switchhook_programs::postgres;
use switchhook_protocol::{
    call::Snapshot,
    event::Event,
    invitation::StopReason,
    session::{Change, End},
};
use switchhook_server::Settings;
use switchhook_tests::{
    host::Host,
    phone::Phone,
    skipped,
    waiting::{in_time, until},
};

use crate::three::{ALICE, BOB};

/// None, and the test says so, where there is no PostgreSQL.
async fn host(test: &str) -> Result<Option<Host>> {
    match postgres::database().await {
        Ok(url) => {
            let database = url.try_into()?;
            let settings = |settings: &mut Settings| {
                settings.database = Some(database);
                // The tests' server ends with its machine.
                settings.allow_lossy_database = true;
            };
            Ok(Some(Host::with(settings).await?))
        }
        Err(why) => {
            skipped::say(test, &why);
            Ok(None)
        }
    }
}

#[tokio::test]
async fn a_call_from_registration_to_end_on_postgresql() -> Result<()> {
    let Some(mut host) = host("a_call_from_registration_to_end_on_postgresql").await? else { return Ok(()) };
    let (mut alice, mut phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let mut tablet = host.device("tablet", BOB).await?;

    let status = alice.invite(BOB).await?;
    let (rung, _) = (phone.expect_invite().await?, tablet.expect_invite().await?);
    let (taken, lost) = tokio::join!(phone.accept(&rung), tablet.expect_cancel(&status.session));
    assert_eq!(lost?, StopReason::AnsweredElsewhere);
    let answer = taken??;
    alice.expect_accept(&status.session).await?;
    host.admin.leg_is(&status.session, tablet.device(), "stop-confirmed").await?;

    // What was confirmed is there after a restart, and the session runs on.
    host.stop().await;
    host.start_again().await?;
    back(&phone).await?;
    back(&alice).await?;
    let running = back(&tablet).await?;
    assert_eq!(running.sessions.len(), 1);
    assert_eq!(running.registrations.len(), 1);

    let end = End { ticket: answer.ticket, reason: "hung-up".to_owned() };
    in_time("the end", phone.client.end(&end)).await??;
    let ended = |event: &Event| {
        let Event::SessionUpdate(changed) = event else { return None };
        matches!(changed.change, Change::Ended { .. }).then_some(())
    };
    alice.expect_event("the end", ended).await?;
    let known = host.admin.get(&format!("explain?about={}", status.session)).await?;
    let line = known.pointer("/sessions/0/line").and_then(Value::as_array).map_or(0, Vec::len);
    assert!(line >= 8, "{known:#}");
    assert_eq!(in_time("sync", tablet.client.sync()).await??.sessions, []);
    Ok(())
}

/// Waits until a phone has noticed that its connection was lost, and has another.
async fn back(phone: &Phone) -> Result<Snapshot> {
    until("a new connection", async || match phone.client.sync().await {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(CallError::ConnectionLost) => Ok(None),
        Err(error) => Err(error.into()),
    })
    .await
}
