//! Processes on one database: who lives, and who takes up what another left.

use std::num::NonZeroU32;

use sqlx::{Connection as _, PgConnection, raw_sql};
use switchhook_core::row::{Node, OutboxEntry, OutboxKind, OutboxState, Write};
use switchhook_protocol::{id::MessageId, time::Timestamp};
use switchhook_storage::{Database, KeysProof, Settings, Storage};

use crate::fixture::{EARLIER, Fixture, NOW, entry, id, message_id, node, settings, tenant};

/// How many wait for a table.
const BLOCKED: &str = "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database \
     WHERE d.datname = current_database() AND l.locktype = 'relation' AND NOT l.granted";

on_two_nodes! {
    async fn who_beats_is_told_of_and_who_leaves_is_not(fixture, other) {
        let (here, there) = (fixture.storage.nodes(), other.nodes());
        here.beat(&beat("here", EARLIER)).await.unwrap();
        there.beat(&beat("there", NOW)).await.unwrap();
        let later = Node { sockets: 7, draining: true, seen_at: NOW, ..beat("here", EARLIER) };
        here.beat(&later).await.unwrap();
        assert_eq!(there.all().await.unwrap(), [later.clone(), beat("there", NOW)]);

        there.leave(&node("there")).await.unwrap();
        assert_eq!(here.all().await.unwrap(), [later]);
    }

    async fn what_a_dead_node_was_performing_is_taken_up_and_nobody_elses(fixture, other) {
        let nodes = other.nodes();
        nodes.beat(&beat("here", NOW)).await.unwrap();
        nodes.beat(&beat("dead", EARLIER)).await.unwrap();
        perform(&fixture.storage, "dead", "its").await;
        perform(&other, "here", "ours").await;

        let doubtful = nodes.bury(&beat("dead", EARLIER)).await.unwrap().unwrap();

        assert!(doubtful.iter().map(|(_, entry)| &entry.id).eq([&message_id("its-text")]));
        assert_eq!(state(&other, "its-text").await, OutboxState::InDoubt);
        assert_eq!(state(&other, "its-fetch").await, OutboxState::Queued);
        assert_eq!(state(&other, "ours-text").await, OutboxState::Performing);
        assert_eq!(state(&other, "ours-fetch").await, OutboxState::Performing);
        assert_eq!(nodes.bury(&beat("dead", EARLIER)).await.unwrap(), None);
    }

    async fn a_node_that_beats_is_not_buried(fixture, other) {
        let slow = fixture.storage.nodes();
        slow.beat(&beat("slow", EARLIER)).await.unwrap();
        perform(&fixture.storage, "slow", "its").await;
        slow.beat(&Node { seen_at: NOW, ..beat("slow", EARLIER) }).await.unwrap();

        assert_eq!(other.nodes().bury(&beat("slow", EARLIER)).await.unwrap(), None);

        assert_eq!(state(&other, "its-text").await, OutboxState::Performing);
        assert_eq!(other.nodes().all().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_node_says_that_it_lives_while_every_reader_waits() {
    let Some(fixture) = Fixture::postgres("a_node_says_that_it_lives_while_every_reader_waits").await else {
        return;
    };
    let Database::Postgres { url } = &fixture.database else { panic!("it is a file") };
    let settings = Settings { readers: NonZeroU32::MIN, ..settings(fixture.database.clone()) };
    let storage = Storage::open(settings).await.unwrap();
    let mut locking = PgConnection::connect(url).await.unwrap();
    raw_sql("BEGIN; LOCK TABLE devices IN ACCESS EXCLUSIVE MODE").execute(&mut locking).await.unwrap();

    let acme = storage.of(&tenant("acme"));
    let (devices, phone) = (acme.devices(), id("phone"));
    let (read, ()) = tokio::join!(devices.get(&phone), async {
        while fixture.count(BLOCKED).await == 0 {}
        storage.nodes().beat(&beat("here", NOW)).await.unwrap();
        raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
    });

    assert!(read.unwrap().is_none());
}

on_each_database! {
    async fn the_proof_of_the_keys_is_replaced_by_whoever_knows_the_former(fixture) {
        let storage = &fixture.storage;
        assert!(storage.prove_keys(proof(1), |_| false).await.unwrap(), "there was none");
        assert!(storage.prove_keys(proof(1), |_| false).await.unwrap(), "it is the same");
        assert!(!storage.prove_keys(proof(2), |_| false).await.unwrap());
        assert!(storage.prove_keys(proof(2), |known| known == proof(1)).await.unwrap());
        assert!(!storage.prove_keys(proof(1), |_| false).await.unwrap());

        storage.forget_keys_proof().await.unwrap();

        assert!(storage.prove_keys(proof(1), |_| false).await.unwrap());
    }
}

/// What keys of this number prove.
pub(crate) fn proof(number: u8) -> KeysProof {
    KeysProof { key_id: [number; 4], proof: [number; 32] }
}

/// A node that started when it was seen.
pub(crate) fn beat(name: &str, at: Timestamp) -> Node {
    Node {
        id: node(name),
        address: format!("wss://{name}.example"),
        region: "eu".to_owned(),
        sockets: 0,
        draining: false,
        started_at: at,
        seen_at: at,
    }
}

/// A text and a request that a node has begun.
async fn perform(storage: &Storage, by: &str, name: &str) {
    let text = entry(&format!("{name}-text"), NOW);
    let fetch =
        OutboxEntry { kind: OutboxKind::Fetch, gateway: None, ..entry(&format!("{name}-fetch"), NOW) };
    let acme = storage.of(&"acme".parse().unwrap());
    acme.commit("step", vec![Write::Enqueue(text), Write::Enqueue(fetch)]).await.unwrap();
    for kind in [OutboxKind::Text, OutboxKind::Fetch] {
        assert_eq!(storage.outbox().claim(&node(by), kind, 9).await.unwrap().len(), 1);
    }
}

async fn state(storage: &Storage, entry: &str) -> OutboxState {
    let acme = storage.of(&"acme".parse().unwrap());
    let id: MessageId = message_id(entry);
    acme.outbox_entry(&id).await.unwrap().unwrap().state
}
