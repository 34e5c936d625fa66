//! A server that goes away and comes back, and how it finds rows.

use std::collections::BTreeMap;

use sqlx::{Connection as _, PgConnection, Row as _};
use switchhook_core::{
    policy::registration::Pair,
    row::{OutboxKind, Session, Write},
};
use switchhook_storage::{Database, OpenError, Settings, Storage, StorageError, TenantStorage};
use tokio::sync::oneshot;

use crate::{
    fixture::{Fixture, Held, NOW, message, node, session, session_id, settings},
    walls::{change_everything, fill, seen},
};

const KILL: &str = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn a_connection_that_was_lost_between_two_groups_is_not_missed() {
    let Some(fixture) = Fixture::postgres("a_connection_that_was_lost_between_two_groups").await else {
        return;
    };
    let acme = fixture.acme();
    open(&acme, "before").await.unwrap();

    fixture.say(KILL).await;

    open(&acme, "after").await.unwrap();
    assert!(is_open(&acme, "before").await && is_open(&acme, "after").await);
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_confirms_is_refused() {
    let Some(fixture) = Fixture::postgres("a_server_that_may_lose_what_it_confirms_is_refused").await else {
        return;
    };
    let strict = Settings { allow_lossy_database: false, ..settings(fixture.database.clone()) };

    let refused = Storage::open(strict).await;

    let Err(OpenError::MayLose { settings }) = refused else { panic!("{refused:?}") };
    assert_eq!(settings, "fsync = off, full_page_writes = off");
}

#[tokio::test]
async fn the_writer_waits_for_the_disk_whatever_the_default_of_the_database_is() {
    let Some(mut fixture) = Fixture::postgres("the_writer_waits_for_the_disk").await else { return };
    fixture.say(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
    )
    .await;

    // Refused if it did not.
    fixture.reopen().await;

    open(&fixture.acme(), "call").await.unwrap();
}

#[tokio::test]
async fn the_jobs_of_a_group_whose_connection_is_lost_hear_so_and_later_ones_work() {
    let Some(fixture) = Fixture::postgres("the_jobs_of_a_group_whose_connection_is_lost").await else {
        return;
    };
    let acme = fixture.acme();
    let held = Held::hold(&acme).await;
    let (begun, has_begun) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();

    let (first, closure, last, ()) = tokio::join!(
        open(&acme, "first"),
        acme.run("wait", async move |_| {
            begun.send(()).unwrap();
            ended.await.unwrap();
            Ok::<(), StorageError>(())
        }),
        open(&acme, "last"),
        async {
            held.release().await;
            has_begun.await.unwrap();
            fixture.say(KILL).await;
            end.send(()).unwrap();
        },
    );

    for lost in [first, closure, last] {
        assert!(matches!(lost, Err(StorageError::Away(_))), "{lost:?}");
    }
    open(&acme, "after").await.unwrap();
    for (name, kept) in [("first", false), ("last", false), ("after", true)] {
        assert_eq!(is_open(&acme, name).await, kept, "{name}");
    }
}

#[tokio::test]
async fn inv_11_nothing_confirmed_is_lost_while_connections_die() {
    let Some(fixture) = Fixture::postgres("inv_11_nothing_confirmed_is_lost_while_connections_die").await
    else {
        return;
    };
    let acme = fixture.acme();
    let (killed, mut all_killed) = oneshot::channel::<()>();

    let commits = async {
        let mut confirmed = Vec::new();
        for number in 0.. {
            if all_killed.try_recv().is_ok() {
                break;
            }
            let name = format!("call-{number}");
            if open(&acme, &name).await.is_ok() {
                confirmed.push(name);
            }
        }
        confirmed
    };
    let deaths = async {
        for _ in 0..20 {
            fixture.say(KILL).await;
        }
        killed.send(()).unwrap();
    };
    let (confirmed, ()) = tokio::join!(commits, deaths);

    assert!(!confirmed.is_empty());
    for name in &confirmed {
        assert!(is_open(&acme, name).await, "{name}");
    }
}

#[tokio::test]
async fn what_postgres_cannot_hold_is_refused_and_takes_no_neighbour_along() {
    let Some(fixture) = Fixture::postgres("what_postgres_cannot_hold_is_refused").await else { return };
    let acme = fixture.with_devices(&["phone"]).await;
    let held = Held::hold(&acme).await;
    let purpose = "a\0b".to_owned();
    let odd = Write::OpenSession(Session { purpose, ..session("odd") });

    let (odd, neighbour, ()) = tokio::join!(
        acme.commit("invite", vec![odd, Write::Append(message("phone", "odd"))]),
        acme.commit("invite", vec![Write::Append(message("phone", "even"))]),
        held.release(),
    );

    assert!(matches!(odd, Err(StorageError::Conflict { .. })), "{odd:?}");
    neighbour.unwrap();
    // Of the long one nothing repeats, so that it is not compressed.
    let long = (0..1_000).map(|number: u32| format!("{:x}", number.pow(2))).collect::<Vec<_>>().concat();
    for key in ["a\0b".to_owned(), long] {
        let pair = Pair { key, value: Some(vec![1]) };
        let put = acme.run("put", async move |tx| tx.put_pair(&pair).await).await;
        assert!(matches!(put, Err(StorageError::Conflict { .. })), "{put:?}");
    }
}

/// A scan of a stored table would make each statement as slow as the table is long.
#[tokio::test]
async fn rows_are_looked_up_by_key() {
    let Some(fixture) = Fixture::postgres("rows_are_looked_up_by_key").await else { return };
    let before = scans(&fixture).await;
    let acme = fixture.acme();
    fill(&acme).await;
    seen(&acme).await;
    change_everything(&acme).await;
    fixture.storage.outbox().claim(&node("here"), OutboxKind::Text, 9).await.unwrap();
    fixture.storage.timers().due(NOW, 9).await.unwrap();
    fixture.storage.sweep(NOW).await.unwrap();

    // What connections have counted shows when they end.
    fixture.storage.close().await;

    assert_eq!(scans(&fixture).await, before);
}

/// How often each table was read from its first row to its last.
async fn scans(fixture: &Fixture) -> BTreeMap<String, i64> {
    let Database::Postgres { url } = &fixture.database else { return BTreeMap::new() };
    let mut connection = PgConnection::connect(url).await.unwrap();
    let scans = sqlx::query("SELECT CAST(relname AS TEXT), seq_scan FROM pg_stat_user_tables");
    let scans = scans.fetch_all(&mut connection).await.unwrap();
    scans.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn open(storage: &TenantStorage, name: &str) -> Result<(), StorageError> {
    storage.commit("invite", vec![Write::OpenSession(session(name))]).await.map(drop)
}

/// A reader may find out here that its connection is gone.
async fn is_open(storage: &TenantStorage, name: &str) -> bool {
    loop {
        match storage.sessions().get(&session_id(name)).await {
            Ok(found) => return found.is_some(),
            Err(StorageError::Away(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
