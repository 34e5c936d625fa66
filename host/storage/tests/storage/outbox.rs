//! Effects on the outside: claimed once, and settled.

use switchhook_core::row::{OutboxEntry, OutboxKind, OutboxState, Write};
use switchhook_protocol::time::Timestamp;
use switchhook_storage::{TenantStorage, limits};

use crate::fixture::{EARLIER, LATER, NOW, entry, message_id, node};

on_each_database! {
    async fn a_text_is_found_by_what_its_gateway_calls_it(fixture) {
        let acme = fixture.acme();
        acme.commit("transit", vec![Write::Enqueue(entry("text", NOW))]).await.unwrap();
        acme.run("settle", async |tx| tx.refer_outbox(&message_id("text"), "SM1").await).await.unwrap();

        let found = async |gateway: &str, reference| {
            let gateway = gateway.parse().unwrap();
            acme.outbox_by_reference(&gateway, reference).await.unwrap().map(|entry| entry.id)
        };
        assert_eq!(found("transit", "SM1").await, Some(message_id("text")));
        assert_eq!(found("transit", "SM2").await, None);
        assert_eq!(found("other", "SM1").await, None);
    }

    async fn an_outside_effect_is_claimed_once_oldest_first(fixture) {
        let acme = fixture.acme();
        let entries = [("third", LATER), ("first", EARLIER), ("second", NOW)];
        let writes = entries.map(|(name, at)| Write::Enqueue(entry(name, at))).into();
        acme.commit("transit", writes).await.unwrap();
        let outbox = fixture.storage.outbox();

        let here = node("here");
        let (one, other) = tokio::join!(outbox.claim(&here, OutboxKind::Text, 2), outbox.claim(&here, OutboxKind::Text, 2));

        let mut claimed = one.unwrap();
        claimed.extend(other.unwrap());
        claimed.sort_by_key(|(_, entry)| entry.queued_at);
        let names: Vec<_> = claimed.iter().map(|(tenant, entry)| (tenant.as_str(), entry.id.as_str())).collect();
        assert_eq!(names, [("acme", "first"), ("acme", "second"), ("acme", "third")]);
        assert!(claimed.iter().all(|(_, it)| it.state == OutboxState::Performing && it.payload == [0, 1, 254, 255]));
        assert!(outbox.claim(&node("here"), OutboxKind::Text, 2).await.unwrap().is_empty());
    }

    async fn a_gateway_that_does_not_answer_holds_up_nobody_elses_texts(fixture) {
        let acme = fixture.acme();
        let by = |gateway: &str, number: u64| OutboxEntry {
            gateway: Some(gateway.parse().unwrap()),
            ..entry(&format!("{gateway}-{number}"), Timestamp::from_millis(number))
        };
        let mut entries: Vec<_> = (0..100).map(|number| by("dead", number)).collect();
        entries.push(by("good", 1_000));
        acme.commit("transit", entries.into_iter().map(Write::Enqueue).collect()).await.unwrap();
        let outbox = fixture.storage.outbox();
        let claimed = async |by: &str, limit| {
            let claimed = outbox.claim(&node(by), OutboxKind::Text, limit).await.unwrap();
            claimed.iter().map(|(_, entry)| entry.gateway.as_ref().unwrap().as_str().to_owned()).collect::<Vec<_>>()
        };

        assert_eq!(claimed("here", 64).await, ["dead"; 32]);
        assert_eq!(claimed("here", 56).await, ["good"]);
        assert!(claimed("here", 55).await.is_empty());
        assert_eq!(claimed("elsewhere", 5).await, ["dead"; 5], "another node has places of its own");
    }

    async fn gateways_that_do_not_answer_leave_places_to_others_whosever_they_are(fixture) {
        let outbox = fixture.storage.outbox();
        let (share, most) = (u64::from(limits::GATEWAY_SHARE), 2 * u64::from(limits::GATEWAY_SHARE) - 1);
        let queue = async |tenant: &str, gateway: &str, numbers: std::ops::Range<u64>| {
            let by = |number: u64| OutboxEntry {
                gateway: Some(gateway.parse().unwrap()),
                ..entry(&format!("{gateway}-{number}"), Timestamp::from_millis(number))
            };
            let texts = numbers.map(|number| Write::Enqueue(by(number))).collect();
            fixture.storage.of(&tenant.parse().unwrap()).commit("transit", texts).await.unwrap();
        };
        let claimed = async || outbox.claim(&node("here"), OutboxKind::Text, 256).await.unwrap().len();

        for (tenant, gateway) in [("acme", "one"), ("other", "two")] {
            // One short of where no more is begun, and then as many as are begun at once.
            queue(tenant, gateway, 0..share - 1).await;
            let first = claimed().await;
            queue(tenant, gateway, 100..200).await;
            assert_eq!(u64::try_from(first + claimed().await), Ok(most));
        }
        assert_eq!(claimed().await, 0);
        assert!(3 * most <= 192, "three leave no quarter of 256 places");
    }

    async fn an_outbox_entry_moves_only_from_where_it_is(fixture) {
        let acme = fixture.acme();
        acme.commit("transit", vec![Write::Enqueue(entry("text", NOW))]).await.unwrap();
        fixture.storage.outbox().claim(&node("here"), OutboxKind::Text, 1).await.unwrap();

        assert!(moves(&acme, &[OutboxState::Performing], OutboxState::Sent).await);
        assert!(!moves(&acme, &[OutboxState::Performing, OutboxState::InDoubt], OutboxState::Failed).await);

        let stored = acme.outbox_entry(&message_id("text")).await.unwrap().unwrap();
        assert_eq!(stored.state, OutboxState::Sent);
        assert_eq!(fixture.storage.outbox().in_state(OutboxKind::Text, OutboxState::Sent, 9).await.unwrap().len(), 1);
        assert!(moves(&acme, &[OutboxState::Performing, OutboxState::Sent], OutboxState::Delivered).await);
    }
}

on_each_database! {
    async fn a_tenant_sees_its_own_doubts_however_many_another_has(fixture) {
        let (acme, other) = (fixture.acme(), fixture.storage.of(&"other".parse().unwrap()));
        let doubtful = |name: &str, at| OutboxEntry { state: OutboxState::InDoubt, ..entry(name, at) };
        let many = (0..20).map(|n| Write::Enqueue(doubtful(&format!("text-{n}"), EARLIER))).collect();
        other.commit("transit", many).await.unwrap();
        let mail = OutboxEntry { kind: OutboxKind::Mail, ..doubtful("mail", NOW) };
        let mine = [doubtful("second", LATER), doubtful("first", NOW), mail, entry("queued", NOW)];
        acme.commit("transit", mine.map(Write::Enqueue).into()).await.unwrap();

        let names = async |limit| {
            let doubts = acme.in_doubt(OutboxKind::Text, limit).await.unwrap();
            doubts.iter().map(|entry| entry.id.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(9).await, ["first", "second"]);
        assert_eq!(names(1).await, ["first"]);
    }

    async fn a_tenants_outbox_is_read_page_by_page_and_an_entry_is_forgotten(fixture) {
        let acme = fixture.acme();
        let entries = ["c", "a", "b"].map(|name| Write::Enqueue(entry(name, NOW)));
        acme.commit("transit", entries.into()).await.unwrap();
        let other = fixture.storage.of(&"other".parse().unwrap());
        other.commit("transit", vec![Write::Enqueue(entry("b", NOW))]).await.unwrap();
        let page = async |after: Option<&str>| {
            let after = after.map(message_id);
            let page = acme.outbox_page(after.as_ref(), 2).await.unwrap();
            page.iter().map(|entry| entry.id.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((page(None).await, page(Some("b")).await), (vec!["a".into(), "b".into()], vec!["c".into()]));

        acme.run("erase", async |tx| tx.forget_outbox(&message_id("b")).await).await.unwrap();

        assert_eq!((page(None).await, page(Some("c")).await), (vec!["a".to_owned(), "c".to_owned()], vec![]));
        assert!(other.outbox_entry(&message_id("b")).await.unwrap().is_some());
    }

    async fn whether_all_texts_of_an_attempt_have_failed_is_known(fixture) {
        let acme = fixture.acme();
        let put = async |name: &str, state| {
            let text = OutboxEntry { state, ..entry(name, NOW) };
            acme.commit("transit", vec![Write::Enqueue(text)]).await.unwrap();
        };
        let failed = async |attempt: &str| acme.has_failed_texts(&attempt.parse().unwrap()).await.unwrap();
        assert!(!failed("attempt-1").await);
        put("failed", OutboxState::Failed).await;
        assert!(failed("attempt-1").await);
        assert!(!failed("attempt-2").await);
        put("another", OutboxState::Sent).await;
        assert!(!failed("attempt-1").await, "another one arrived");
    }
}

async fn moves(storage: &TenantStorage, from: &'static [OutboxState], to: OutboxState) -> bool {
    storage.run("settle", async move |tx| tx.move_outbox(&message_id("text"), from, to).await).await.unwrap()
}
