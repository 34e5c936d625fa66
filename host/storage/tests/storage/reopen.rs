//! What is there after the process has ended, one way or another.

use switchhook_core::row::{OutboxEntry, OutboxKind, OutboxState, Write};
use switchhook_storage::{Clock, OpenError, Storage, StorageError};

use crate::fixture::{Fixture, NOW, entry, message_id, node, session, session_id, settings, tenant};

on_each_database! {
    async fn what_was_confirmed_is_there_after_reopening(fixture) {
        let mut fixture = fixture;
        fixture.acme().commit("invite", vec![Write::OpenSession(session("call"))]).await.unwrap();

        fixture.reopen().await;

        assert!(fixture.acme().sessions().get(&session_id("call")).await.unwrap().is_some());
    }

    async fn a_closed_storage_takes_nothing_in(fixture) {
        let acme = fixture.acme();
        let waiting = acme.commit("invite", vec![Write::OpenSession(session("call"))]);
        let (committed, ()) = tokio::join!(waiting, fixture.storage.close());
        committed.unwrap();

        let late = acme.commit("late", vec![Write::OpenSession(session("late"))]).await;
        assert!(matches!(late, Err(StorageError::Closed)));
        assert!(matches!(acme.sessions().get(&session_id("call")).await, Err(StorageError::Closed)));
        assert!(matches!(fixture.storage.ping().await, Err(StorageError::Closed)));
    }

    async fn what_was_being_performed_is_in_doubt_and_not_performed_again(fixture) {
        let mut fixture = fixture;
        let acme = fixture.acme();
        acme.commit("transit", vec![Write::Enqueue(entry("begun", NOW))]).await.unwrap();
        fixture.storage.outbox().claim(&node("before"), OutboxKind::Text, 1).await.unwrap();
        acme.commit("transit", vec![Write::Enqueue(entry("waits", NOW))]).await.unwrap();

        fixture.reopen().await;
        let (outbox, nodes) = (fixture.storage.outbox(), fixture.storage.nodes());
        let doubtful = nodes.take_up().await.unwrap();

        assert!(doubtful.iter().map(|(_, entry)| (&entry.id, entry.state)).eq([(
            &message_id("begun"),
            OutboxState::InDoubt,
        )]));
        assert!(nodes.take_up().await.unwrap().is_empty());
        assert_eq!(outbox.in_state(OutboxKind::Text, OutboxState::InDoubt, 9).await.unwrap(), doubtful);
        let claimed = outbox.claim(&node("after"), OutboxKind::Text, 9).await.unwrap();
        assert!(claimed.iter().map(|(_, entry)| &entry.id).eq([&message_id("waits")]));
    }

    async fn a_request_that_was_being_performed_waits_again(fixture) {
        let mut fixture = fixture;
        let fetch = OutboxEntry { kind: OutboxKind::Fetch, gateway: None, ..entry("asked", NOW) };
        fixture.acme().commit("step", vec![Write::Enqueue(fetch.clone())]).await.unwrap();
        assert!(fixture.storage.outbox().claim(&node("before"), OutboxKind::Text, 9).await.unwrap().is_empty());
        fixture.storage.outbox().claim(&node("before"), OutboxKind::Fetch, 9).await.unwrap();

        fixture.reopen().await;
        let (outbox, nodes) = (fixture.storage.outbox(), fixture.storage.nodes());

        assert!(nodes.take_up().await.unwrap().is_empty());
        let again = outbox.claim(&node("after"), OutboxKind::Fetch, 9).await.unwrap();
        let performing = OutboxEntry { state: OutboxState::Performing, ..fetch };
        assert!(again.iter().map(|(_, entry)| entry).eq([&performing]));
    }
}

#[tokio::test]
async fn a_closed_file_is_one_file() {
    let fixture = Fixture::sqlite().await;
    fixture.acme().commit("invite", vec![Write::OpenSession(session("call"))]).await.unwrap();
    assert!(fixture.path().with_extension("db-wal").exists());

    fixture.storage.close().await;

    assert!(fixture.path().exists());
    assert!(!fixture.path().with_extension("db-wal").exists());
}

#[tokio::test]
async fn a_second_process_is_kept_away_from_a_file() {
    let fixture = Fixture::sqlite().await;
    let second = Storage::open(settings(fixture.database.clone())).await;
    assert!(matches!(second, Err(OpenError::InUse(path)) if path == fixture.path()));
    fixture.storage.ping().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_reads_the_files() {
    use std::os::unix::fs::PermissionsExt as _;

    let fixture = Fixture::sqlite().await;
    for extension in ["db", "db-wal", "lock"] {
        let file = std::fs::metadata(fixture.path().with_extension(extension)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{extension}");
    }
    fixture.storage.close().await;
}

#[tokio::test]
async fn storage_in_memory_keeps_the_same_promises_until_it_is_closed() {
    let storage = Storage::in_memory(Clock::new(|| NOW)).await.unwrap();
    let tenant = tenant("acme");
    storage.tenants().create(&tenant, NOW).await.unwrap();
    let acme = storage.of(&tenant);
    acme.commit("invite", vec![Write::OpenSession(session("call"))]).await.unwrap();
    assert!(acme.sessions().get(&session_id("call")).await.unwrap().is_some());
    storage.close().await;
}
