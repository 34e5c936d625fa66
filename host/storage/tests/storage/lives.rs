//! Processes on one database: who lives, and who takes up what another left.

use switchhook_core::row::{Node, OutboxEntry, OutboxKind, OutboxState, Write};
use switchhook_protocol::{id::MessageId, time::Timestamp};
use switchhook_storage::{KeysProof, Storage};

use crate::fixture::{EARLIER, NOW, entry, message_id, node};

on_each_database! {
    async fn who_beats_is_told_of_and_who_leaves_is_not(fixture) {
        let nodes = fixture.storage.nodes();
        nodes.beat(&beat("here", EARLIER)).await.unwrap();
        nodes.beat(&beat("there", NOW)).await.unwrap();
        let later = Node { sockets: 7, draining: true, seen_at: NOW, ..beat("here", EARLIER) };
        nodes.beat(&later).await.unwrap();
        assert_eq!(nodes.all().await.unwrap(), [later.clone(), beat("there", NOW)]);

        nodes.leave(&node("there")).await.unwrap();
        assert_eq!(nodes.all().await.unwrap(), [later]);
    }

    async fn what_a_dead_node_was_performing_is_taken_up_and_nobody_elses(fixture) {
        let nodes = fixture.storage.nodes();
        nodes.beat(&beat("here", NOW)).await.unwrap();
        nodes.beat(&beat("dead", EARLIER)).await.unwrap();
        perform(&fixture.storage, "dead", "its").await;
        perform(&fixture.storage, "here", "ours").await;

        let doubtful = nodes.bury(&beat("dead", EARLIER)).await.unwrap().unwrap();

        assert!(doubtful.iter().map(|(_, entry)| &entry.id).eq([&message_id("its-text")]));
        assert_eq!(state(&fixture.storage, "its-text").await, OutboxState::InDoubt);
        assert_eq!(state(&fixture.storage, "its-fetch").await, OutboxState::Queued);
        assert_eq!(state(&fixture.storage, "ours-text").await, OutboxState::Performing);
        assert_eq!(state(&fixture.storage, "ours-fetch").await, OutboxState::Performing);
        assert_eq!(nodes.bury(&beat("dead", EARLIER)).await.unwrap(), None);
    }

    async fn a_node_that_beats_is_not_buried(fixture) {
        let nodes = fixture.storage.nodes();
        nodes.beat(&beat("slow", EARLIER)).await.unwrap();
        perform(&fixture.storage, "slow", "its").await;
        nodes.beat(&Node { seen_at: NOW, ..beat("slow", EARLIER) }).await.unwrap();

        assert_eq!(nodes.bury(&beat("slow", EARLIER)).await.unwrap(), None);

        assert_eq!(state(&fixture.storage, "its-text").await, OutboxState::Performing);
        assert_eq!(nodes.all().await.unwrap().len(), 1);
    }

    async fn the_proof_of_the_keys_is_the_last_one_put(fixture) {
        let storage = &fixture.storage;
        assert_eq!(storage.keys_proof().await.unwrap(), None);
        for byte in [1, 2] {
            let proof = KeysProof { key_id: [byte; 4], proof: [byte; 32] };
            storage.put_keys_proof(proof).await.unwrap();
            assert_eq!(storage.keys_proof().await.unwrap(), Some(proof));
        }
    }
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
