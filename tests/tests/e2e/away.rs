//! The database goes away, and comes back.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use reqwest::StatusCode;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use switchhook_programs::postgres;
use switchhook_protocol::id::{DeviceId, SessionId};
use switchhook_server::DEFAULT_TENANT;
use switchhook_storage::{Clock, Database, Storage, limits};
use switchhook_tests::{
    host::{Host, tenant},
    line::Line,
    phone::Phone,
    skipped,
    waiting::{in_time, now, until},
};
use tokio::time;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::three::{ALICE, BOB};

/// Who waits for a lock in this database.
const WAITING: &str = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_locks.database = pg_database.oid \
     WHERE NOT granted AND datname = current_database()";

/// Seconds after which a participant is lost.
const LOST_AFTER: u16 = 8;

#[tokio::test]
async fn a_server_whose_database_is_away_is_not_ready_and_comes_back_with_it() -> Result<()> {
    let name = "a_server_whose_database_is_away_is_not_ready_and_comes_back_with_it";
    let Some((host, line)) = host(name).await? else { return Ok(()) };
    assert_eq!(ready(&host).await?, StatusCode::OK);
    for leaves in [Line::freeze, Line::cut] {
        leaves(&line);
        assert_eq!(ready(&host).await?, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(host.admin.public("healthz").await?.0, StatusCode::OK, "the process lives");

        line.mend();
        is_back(&host).await?;
    }
    host.phone(ALICE).await?;
    Ok(())
}

/// Whatever looks on and on looks again, also if the network has swallowed what it asked last.
#[tokio::test]
async fn no_reader_waits_for_ever_for_a_database_that_stands_still() -> Result<()> {
    let name = "no_reader_waits_for_ever_for_a_database_that_stands_still";
    let Some(line) = line(name).await? else { return Ok(()) };
    let storage = storage(&line).await?;
    storage.timers().next_due().await?;

    line.freeze();
    in_time("the end of a read", storage.timers().next_due()).await?.unwrap_err();

    // Not all readers are lost with it: the next has a connection.
    line.mend();
    let reads = async || Ok(storage.timers().next_due().await.ok());
    assert_eq!(until("a read", reads).await?, None);
    storage.close().await;
    Ok(())
}

/// An export may read for long, and yet not for ever: here its answer is lost on the way.
#[tokio::test]
async fn reg_11_an_export_from_a_database_that_stands_still_ends_and_costs_no_reader() -> Result<()> {
    let name = "reg_11_an_export_from_a_database_that_stands_still_ends_and_costs_no_reader";
    let Some(line) = line(name).await? else { return Ok(()) };
    let storage = storage(&line).await?;
    let acme = storage.of(&tenant(DEFAULT_TENANT)?);
    let mut other = PgConnection::connect(&line.url).await?;
    let mut holding = other.begin().await?;
    sqlx::raw_sql("LOCK TABLE sessions").execute(&mut *holding).await?;
    let alice = ALICE.parse()?;
    let exporting =
        AbortOnDropHandle::new(TaskTracker::new().spawn(async move { acme.person(&alice).await }));
    until("the export's long read", async || {
        let waiting: i64 = sqlx::query_scalar(WAITING).fetch_one(&mut *holding).await?;
        Ok((waiting > 0).then_some(()))
    })
    .await?;

    line.freeze();
    time::pause();
    let ended = time::timeout(limits::ANSWER_AT_LEISURE * 2, exporting).await;
    time::resume();
    ended.context("it waits for ever")??.unwrap_err();

    line.mend();
    holding.rollback().await?;
    let acme = storage.of(&tenant(DEFAULT_TENANT)?);
    let alice = ALICE.parse()?;
    // As many as there are readers, and one more.
    for _ in 0..=thread::available_parallelism()?.get() {
        until("an export", async || Ok(acme.person(&alice).await.ok())).await?;
    }
    storage.close().await;
    Ok(())
}

/// INV-11: nobody was marked while the database was away, and whoever lost the connection meanwhile could not come back.
#[tokio::test]
async fn no_session_ends_because_the_database_was_away_for_longer_than_a_device_may_be() -> Result<()> {
    let name = "no_session_ends_because_the_database_was_away_for_longer_than_a_device_may_be";
    let Some((host, line)) = host(name).await? else { return Ok(()) };
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    bob.accept(&rung).await??;
    alice.expect_accept(&status.session).await?;
    let (alices, bobs) = (alice.device().clone(), bob.device().clone());

    line.cut();
    let (settings, identity) = alice.leave().await;
    let over = now().after(Duration::from_secs(u64::from(LOST_AFTER) + 1));
    until("the time after which she would be lost", async || Ok((now() >= over).then_some(()))).await?;
    line.mend();
    is_back(&host).await?;

    // Whoever is marked twice was looked at once, from the first to the last of them.
    let mut last = now().as_millis();
    for look in ["a look", "another look"] {
        last = until(look, async || {
            let seen = seen_at(&host, &status.session, &bobs).await?.context("Bob is out")?;
            Ok((seen > last).then_some(seen))
        })
        .await?;
    }
    assert!(seen_at(&host, &status.session, &alices).await?.is_some(), "she has time to come back");
    let alice = Phone::connect(settings, identity).await?;
    let running = in_time("sync", alice.client.sync()).await??;
    assert_eq!(running.sessions.len(), 1);
    Ok(())
}

/// A host on a database at the end of a line; none, and the test says so, where there is no PostgreSQL.
async fn host(test: &str) -> Result<Option<(Host, Line)>> {
    let Some(line) = line(test).await? else { return Ok(None) };
    let url = line.url.clone().try_into()?;
    let host = Host::with(|settings| {
        settings.database = Some(url);
        // The tests' server ends with its machine.
        settings.allow_lossy_database = true;
        settings.sessions.lost_after_s = LOST_AFTER;
    });
    Ok(Some((host.await?, line)))
}

/// What is stored at the end of a line.
async fn storage(line: &Line) -> Result<Storage> {
    let settings = switchhook_storage::Settings {
        allow_lossy_database: true,
        ..switchhook_storage::Settings::new(Database::Postgres { url: line.url.clone() }, Clock::new(now))
    };
    Ok(Storage::open(settings).await?)
}

async fn line(test: &str) -> Result<Option<Line>> {
    match postgres::database().await {
        Ok(database) => Line::to(&database).await.map(Some),
        Err(why) => {
            skipped::say(test, &why);
            Ok(None)
        }
    }
}

async fn ready(host: &Host) -> Result<StatusCode> {
    Ok(in_time("the answer", host.admin.public("readyz")).await??.0)
}

async fn is_back(host: &Host) -> Result<()> {
    until("the database", async || Ok((ready(host).await? == StatusCode::OK).then_some(()))).await
}

/// When a participant was last marked, in milliseconds; none if it takes no part.
async fn seen_at(host: &Host, session: &SessionId, device: &DeviceId) -> Result<Option<u64>> {
    let shown = host.admin.session(session).await?;
    let all = shown.get("participants").and_then(Value::as_array).context("participants")?;
    let own = all.iter().find(|it| it.get("device").and_then(Value::as_str) == Some(device.as_str()));
    Ok(own.and_then(|it| it.get("seen_at")).and_then(Value::as_u64))
}
