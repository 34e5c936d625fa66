//! Devices, registrations, attempts, secrets, transits, outbox.

use switchhook_core::row::{Attempt, OutboxKind, OutboxState, SecretKind, Target, Write};
use switchhook_protocol::time::Timestamp;
use switchhook_storage::{PutAttempt, StorageError, TenantStorage};

use crate::fixture::{
    EARLIER, LATER, NOW, alice, attempt, device, enrol, entry, gateway, id, message_id, node,
    push_token_hash, registration, secret, transit_answer,
};

on_each_database! {
    async fn a_device_is_found_by_its_id_and_by_its_present_push_token(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let devices = acme.devices();
        assert_eq!(devices.get(&id("phone")).await.unwrap(), Some(device("phone")));

        let renewed = acme.run("renew", async |tx| {
            let known = tx.set_push_token(&id("phone"), &push_token_hash("renewed")).await?;
            Ok::<_, StorageError>((known, tx.set_push_token(&id("nobody"), &[0; 32]).await?))
        });
        assert_eq!(renewed.await.unwrap(), (true, false));

        assert_eq!(devices.by_push_token(&push_token_hash("phone")).await.unwrap(), None);
        assert_eq!(devices.by_push_token(&push_token_hash("renewed")).await.unwrap(), Some(device("phone")));
    }

    async fn inv_16_a_nonce_is_spent_once_by_a_device_until_it_is_over(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet"]).await;
        let devices = acme.devices();
        assert!(devices.spend(&id("phone"), "nonce", NOW, EARLIER).await.unwrap());
        assert!(!devices.spend(&id("phone"), "nonce", LATER, NOW).await.unwrap());
        assert!(devices.spend(&id("phone"), "another", LATER, NOW).await.unwrap());
        assert!(devices.spend(&id("tablet"), "nonce", LATER, NOW).await.unwrap());

        assert_eq!(fixture.storage.sweep(NOW).await.unwrap().nonces, 0, "it counts to its last moment");
        assert_eq!(fixture.storage.sweep(LATER).await.unwrap().nonces, 1);
        assert!(devices.spend(&id("phone"), "nonce", LATER, NOW).await.unwrap());
        assert!(!devices.spend(&id("tablet"), "nonce", LATER, NOW).await.unwrap());
    }

    async fn a_push_token_belongs_to_one_device(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;

        let twice = acme.devices().insert(&device("tablet"), push_token_hash("phone"), &"e".parse().unwrap()).await;

        assert!(matches!(twice, Err(StorageError::Conflict { .. })));
        assert_eq!(acme.devices().get(&id("tablet")).await.unwrap(), None);
    }

    async fn reg_11_an_identifier_reaches_each_device_that_was_bound_to_it(fixture) {
        let acme = fixture.with_devices(&["tablet", "phone"]).await;
        for name in ["tablet", "phone", "phone"] {
            acme.run("bind", async move |tx| tx.bind(&registration(name)).await).await.unwrap();
        }
        let registrations = acme.registrations();
        let reaches = |name| Target { endpoint: alice(), device: id(name), kind: "tablet".to_owned() };
        let asked = ["nobody".parse().unwrap(), alice()];
        let phones = "phone".parse().unwrap();

        assert_eq!(registrations.of_endpoints(&phones, &asked).await.unwrap(), ["phone", "tablet"].map(reaches));
        assert_eq!(registrations.of_endpoints(&"game".parse().unwrap(), &asked).await.unwrap(), []);
        assert_eq!(registrations.of_device(&id("phone")).await.unwrap(), [alice()]);
        assert!(registrations.holds(&id("phone"), &alice()).await.unwrap());
        assert!(!registrations.holds(&id("phone"), &asked[0]).await.unwrap());
    }

    async fn a_step_is_committed_on_the_version_that_it_was_computed_from(fixture) {
        let acme = fixture.acme();
        assert_eq!(put(&acme, attempt("a-1", "key"), 0).await, PutAttempt::Stored(1));
        assert_eq!(put(&acme, attempt("a-1", "key"), 1).await, PutAttempt::Stored(2));

        assert_eq!(put(&acme, attempt("a-1", "key"), 1).await, PutAttempt::Conflict);
        assert_eq!(put(&acme, attempt("a-1", "key"), 0).await, PutAttempt::Conflict);
        assert_eq!(put(&acme, attempt("a-2", "key"), 0).await, PutAttempt::Conflict);

        let stored = Attempt { version: 2, ..attempt("a-1", "key") };
        let attempts = acme.attempts();
        assert_eq!(attempts.get(&"a-1".parse().unwrap()).await.unwrap(), Some(stored.clone()));
        let by_key = attempts.by_key(&"sms".parse().unwrap(), "key", NOW).await.unwrap();
        assert_eq!(by_key, Some(stored));
    }

    async fn a_finished_or_expired_attempt_leaves_its_key_to_the_next(fixture) {
        let acme = fixture.acme();
        let sms = "sms".parse().unwrap();
        assert_eq!(put(&acme, attempt("a-1", "key"), 0).await, PutAttempt::Stored(1));
        let finished = Attempt { finished: true, state: None, ..attempt("a-1", "key") };
        assert_eq!(put(&acme, finished, 1).await, PutAttempt::Stored(2));
        assert_eq!(acme.attempts().by_key(&sms, "key", NOW).await.unwrap(), None);

        let expired = Attempt { expires_at: EARLIER, ..attempt("a-2", "key") };
        assert_eq!(put(&acme, expired, 0).await, PutAttempt::Stored(1));
        assert_eq!(acme.attempts().by_key(&sms, "key", NOW).await.unwrap(), None);

        assert_eq!(put(&acme, attempt("a-3", "key"), 0).await, PutAttempt::Stored(1));
        assert!(acme.attempts().get(&"a-1".parse().unwrap()).await.unwrap().is_some_and(|first| first.finished));
    }

    async fn a_secret_is_used_once_in_time_and_within_its_tries(fixture) {
        let acme = fixture.acme();
        let code = SecretKind::Code;
        acme.run("test", async move |tx| {
            for name in ["used", "late", "tried"] {
                tx.put_secret(&secret(name)).await?;
            }
            assert_eq!(tx.secret("used", code).await?, Some(secret("used")));
            assert_eq!(tx.secret("used", SecretKind::Signature).await?, None);

            assert!(tx.use_secret("used", code, NOW).await?);
            assert!(!tx.use_secret("used", code, NOW).await?);
            assert_eq!(tx.secret("used", code).await?.unwrap().used_at, Some(NOW));
            assert!(!tx.use_secret("late", code, LATER).await?);
            assert_eq!(tx.wrong_try("tried", code).await?, 1);
            assert_eq!(tx.wrong_try("tried", code).await?, 0);
            assert_eq!(tx.wrong_try("tried", code).await?, 0);
            assert!(!tx.use_secret("tried", code, NOW).await?);
            Ok::<_, StorageError>(())
        })
        .await
        .unwrap();
    }

    async fn reg_2_a_transits_message_keeps_its_first_answer(fixture) {
        let acme = fixture.acme();
        let answer = |tries: &'static str| {
            let acme = acme.clone();
            async move {
                let answer = switchhook_core::row::TransitAnswer { answer: tries.to_owned(), ..transit_answer("m-1") };
                acme.run("transit", async move |tx| tx.put_transit_answer(&answer).await).await
            }
        };

        answer("first").await.unwrap();
        assert!(matches!(answer("second").await, Err(StorageError::Conflict { .. })));

        let transit = "transit".parse().unwrap();
        let stored = acme.gateways().answer(&transit, "m-1").await.unwrap().unwrap();
        assert_eq!((stored.answer.as_str(), stored.digest, stored.status), ("first", [8; 32], 202));
        assert_eq!(acme.gateways().answer(&transit, "m-2").await.unwrap(), None);
    }

    async fn a_transit_is_replaced_by_one_of_its_name(fixture) {
        let acme = fixture.acme();
        for number in ["+15550001", "+15550002"] {
            let gateway = switchhook_core::row::Gateway { number: number.to_owned(), ..gateway("transit") };
            acme.run("configure", async move |tx| tx.put_gateway(&gateway).await).await.unwrap();
        }

        let stored = acme.gateways().get(&"transit".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(stored.number, "+15550002");
        assert_eq!(acme.gateways().list().await.unwrap(), [stored]);
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

    async fn an_outbox_entry_moves_only_from_where_it_is(fixture) {
        let acme = fixture.acme();
        acme.commit("transit", vec![Write::Enqueue(entry("text", NOW))]).await.unwrap();
        fixture.storage.outbox().claim(&node("here"), OutboxKind::Text, 1).await.unwrap();

        assert!(moves(&acme, OutboxState::Performing, OutboxState::Sent).await);
        assert!(!moves(&acme, OutboxState::Performing, OutboxState::Failed).await);

        let stored = acme.outbox_entry(&message_id("text")).await.unwrap().unwrap();
        assert_eq!(stored.state, OutboxState::Sent);
        assert_eq!(fixture.storage.outbox().in_state(OutboxKind::Text, OutboxState::Sent, 9).await.unwrap().len(), 1);
    }

    async fn what_has_expired_is_forgotten_in_time(fixture) {
        let acme = fixture.acme();
        enrol(&acme, "phone").await;
        assert_eq!(put(&acme, attempt("a-1", "key"), 0).await, PutAttempt::Stored(1));
        acme.run("fill", async |tx| {
            tx.put_secret(&secret("code")).await?;
            tx.put_transit_answer(&transit_answer("m-1")).await?;
            tx.apply(vec![Write::Enqueue(entry("sent", NOW)), Write::Enqueue(entry("waits", NOW))]).await?;
            tx.move_outbox(&message_id("sent"), OutboxState::Queued, OutboxState::Sent).await
        })
        .await
        .unwrap();

        let swept = fixture.storage.sweep(LATER).await.unwrap();
        assert_eq!((swept.attempts, swept.secrets, swept.transit_answers, swept.outbox), (1, 1, 0, 0));
        let weeks_later = Timestamp::from_millis(NOW.as_millis() + 30 * 24 * 3_600_000);
        let swept = fixture.storage.sweep(weeks_later).await.unwrap();
        assert_eq!((swept.attempts, swept.secrets, swept.transit_answers, swept.outbox), (0, 0, 1, 1));
        assert!(acme.outbox_entry(&message_id("waits")).await.unwrap().is_some());
    }
}

async fn put(storage: &TenantStorage, attempt: Attempt, expected: u64) -> PutAttempt {
    storage.run("step", async move |tx| tx.put_attempt(&attempt, expected, NOW).await).await.unwrap()
}

async fn moves(storage: &TenantStorage, from: OutboxState, to: OutboxState) -> bool {
    storage.run("settle", async move |tx| tx.move_outbox(&message_id("text"), from, to).await).await.unwrap()
}
