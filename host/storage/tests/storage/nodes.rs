//! Two nodes on one PostgreSQL: what one writer promises, two promise together.

use std::{sync::Arc, time::Duration};

use switchhook_core::row::{InvitationState, OutboxEntry, OutboxKind, TimerKind, Write};
use switchhook_storage::Storage;
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    fixture::{Held, NOW, entry, id, message, node, session, session_id, settings, tenant, timer},
    lives::{beat, proof},
    ringing::{claim, open, take},
};

const HOUR: Duration = Duration::from_hours(1);

/// How many transactions wait for their turn.
const WAITING: &str = "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database \
     WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted";

on_two_nodes! {
    async fn inv_6_of_two_devices_that_accept_on_two_nodes_one_is_taken(fixture, other) {
        let here = fixture.acme();
        let there = other.of(here.tenant());
        open(&here).await;
        for _ in 0..30 {
            let (session, state) = (session_id("call"), InvitationState::Ringing);
            let ringing = Write::SetInvitation { session, user: 0, state, taken_by: None };
            here.commit("ring-again", vec![ringing]).await.unwrap();
            let start = Arc::new(Barrier::new(2));

            let (phone, tablet) = tokio::join!(
                take(&here, id("phone"), Arc::clone(&start)),
                take(&there, id("tablet"), start),
            );

            assert_ne!(phone, tablet);
            let winner = if phone { id("phone") } else { id("tablet") };
            for node in [&here, &there] {
                let stored = node.sessions().invitations(&session_id("call")).await.unwrap();
                assert_eq!(stored[0].taken_by.as_ref(), Some(&winner));
            }
        }
    }

    async fn what_two_nodes_append_to_one_mailbox_has_no_gap_and_no_double(fixture, other) {
        let here = fixture.with_devices(&["phone"]).await;
        let there = other.of(here.tenant());

        let mut senders = JoinSet::new();
        for (number, node) in [&here, &there, &here, &there].into_iter().enumerate() {
            let node = node.clone();
            senders.spawn(async move {
                for call in 0..100 {
                    let message = message("phone", &format!("{number}-{call}"));
                    node.commit("invite", vec![Write::Append(message)]).await.unwrap();
                }
            });
        }
        senders.join_all().await;

        let stored = here.mailbox(&id("phone")).after(0, 1_000, NOW).await.unwrap();
        assert!(stored.iter().map(|message| message.seq).eq(1..=400));
    }

    async fn a_timer_that_two_nodes_find_due_is_claimed_once(fixture, other) {
        let here = fixture.acme();
        let there = other.of(here.tenant());
        for wave in 0..30 {
            here.commit("invite", vec![Write::Arm(timer("call", TimerKind::Wave(wave), NOW))]).await.unwrap();
            let due = timer("call", TimerKind::Wave(wave), NOW);

            let (one, another) = tokio::join!(claim(&here, &due), claim(&there, &due));

            assert_ne!(one, another);
        }
    }

    async fn an_outside_effect_is_claimed_by_one_node(fixture, other) {
        let writes = (0..40).map(|number| Write::Enqueue(fetch(number))).collect();
        fixture.acme().commit("transit", writes).await.unwrap();

        let (mut claimed, there) = tokio::join!(claim_all(&fixture.storage), claim_all(&other));

        claimed.extend(there);
        claimed.sort_unstable();
        claimed.dedup();
        assert_eq!(claimed.len(), 40);
    }

    async fn a_tenant_is_made_once_over_all_nodes(fixture, other) {
        for name in ["one", "two", "three"].map(tenant) {
            let (here, there) = (fixture.storage.tenants(), other.tenants());
            let (here, there) = tokio::join!(here.create(&name, NOW), there.create(&name, NOW));
            assert_ne!(here.unwrap(), there.unwrap());
        }
    }

    async fn of_two_nodes_that_start_at_once_with_different_keys_one_is_refused(fixture, other) {
        for _ in 0..10 {
            fixture.storage.forget_keys_proof().await.unwrap();
            let here = fixture.storage.prove_keys(proof(1), |_| false);
            let there = other.prove_keys(proof(2), |_| false);
            let (here, there) = tokio::join!(here, there);
            assert_ne!(here.unwrap(), there.unwrap());
        }
    }

    async fn a_node_of_the_former_version_starts_on_the_schema_of_the_next(fixture, other) {
        other.close().await;
        fixture.say("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
            VALUES (9999, 'of the next version', true, 'x', 0)").await;

        let other = Storage::open(settings(fixture.database.clone())).await.unwrap();

        assert!(other.tenants().exists(&tenant("acme")).await.unwrap());
    }

    async fn a_tenants_transactions_wait_for_each_other_and_for_no_other_tenants(fixture, other) {
        let here = fixture.acme();
        let there = other.of(here.tenant());
        let held = Held::hold(&here).await;

        let neighbour = other.of(&tenant("other"));
        neighbour.commit("invite", vec![Write::OpenSession(session("call"))]).await.unwrap();
        let waits = there.commit("invite", vec![Write::OpenSession(session("call"))]);
        let (waited, ()) = tokio::join!(waits, async {
            while fixture.count(WAITING).await == 0 {}
            assert_eq!(there.sessions().get(&session_id("call")).await.unwrap(), None);
            held.release().await;
        });

        waited.unwrap();
        assert!(here.sessions().get(&session_id("call")).await.unwrap().is_some());
    }

    async fn what_was_stored_lately_is_found_by_the_other_until_it_is_acknowledged(fixture, other) {
        let here = fixture.with_devices(&["phone", "tablet"]).await;
        let append = |device: &str, name: &str| Write::Append(message(device, name));
        here.commit("send", vec![append("phone", "one"), append("phone", "two")]).await.unwrap();
        assert_eq!(other.stored_lately(HOUR).await.unwrap(), [(tenant("acme"), id("phone"))]);

        other.of(here.tenant()).mailbox(&id("phone")).acknowledge(2).await.unwrap();
        assert_eq!(other.stored_lately(HOUR).await.unwrap(), []);
    }

    async fn a_node_says_that_it_lives_while_a_transaction_takes_long(fixture, other) {
        let held = Held::hold(&fixture.acme()).await;
        fixture.storage.nodes().beat(&beat("here", NOW)).await.unwrap();
        assert_eq!(other.nodes().all().await.unwrap(), [beat("here", NOW)]);
        held.release().await;
    }

    async fn effects_of_a_tenant_are_claimed_while_another_tenants_transaction_takes_long(fixture, other) {
        let neighbour = fixture.storage.of(&tenant("other"));
        neighbour.commit("transit", vec![Write::Enqueue(entry("text", NOW))]).await.unwrap();
        let held = Held::hold(&fixture.acme()).await;

        let claimed = other.outbox().claim(&node("there"), OutboxKind::Text, 9).await.unwrap();

        assert_eq!(claimed.len(), 1);
        held.release().await;
    }

    async fn the_hosts_own_transactions_wait_for_those_of_every_tenant(fixture, other) {
        let held = Held::hold(&fixture.acme()).await;

        let (tenants, new) = (other.tenants(), tenant("new"));
        let (made, ()) = tokio::join!(tenants.create(&new, NOW), async {
            while fixture.count(WAITING).await == 0 {}
            assert!(!tenants.exists(&new).await.unwrap());
            held.release().await;
        });

        assert!(made.unwrap());
    }
}

/// A request of a method: of texts a node takes a share of a gateway's at a time.
fn fetch(number: u32) -> OutboxEntry {
    OutboxEntry { kind: OutboxKind::Fetch, ..entry(&format!("fetch-{number}"), NOW) }
}

/// Claims in small portions until there is nothing left.
async fn claim_all(storage: &Storage) -> Vec<String> {
    let mut claimed = Vec::new();
    loop {
        let portion = storage.outbox().claim(&node("here"), OutboxKind::Fetch, 3).await.unwrap();
        if portion.is_empty() {
            return claimed;
        }
        claimed.extend(portion.into_iter().map(|(_, entry)| entry.id.as_str().to_owned()));
    }
}
