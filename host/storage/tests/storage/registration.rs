//! Devices, registrations, block lists, attempts and secrets.

use std::str::FromStr as _;

use switchhook_core::row::{Attempt, OutboxEntry, OutboxState, SecretKind, Target, Write};
use switchhook_protocol::{endpoint::EndpointId, time::Timestamp};
use switchhook_storage::{PutAttempt, StorageError, TenantStorage, limits};

use crate::fixture::{
    EARLIER, LATER, NOW, alice, attempt, device, enrol, entry, id, message_id, push_token_hash, registration,
    secret, transit_answer,
};

on_each_database! {
    async fn a_device_is_found_by_its_id_and_by_its_present_push_token(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let devices = acme.devices();
        assert_eq!(devices.get(&id("phone")).await.unwrap(), Some(device("phone")));

        let renewed = acme.run("renew", async |tx| {
            let known = tx.set_push_token(&id("phone"), &push_token_hash("renewed"), (LATER, Some(vec![7]))).await?;
            Ok::<_, StorageError>((known, tx.set_push_token(&id("nobody"), &[0; 32], (LATER, None)).await?))
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

    async fn an_identifier_is_not_rung_by_whom_it_has_blocked(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        acme.run("bind", async |tx| tx.bind(&registration("phone")).await).await.unwrap();
        let bob = EndpointId::from_str("bob").unwrap();
        let reached_by = async |by: &EndpointId| {
            let phones = "phone".parse().unwrap();
            acme.registrations().rung_by(by, &phones, &[alice()]).await.unwrap().len()
        };
        for _ in 0..2 {
            let who = bob.clone();
            assert!(acme.run("block", async move |tx| tx.block(&alice(), &who, NOW).await).await.unwrap());
        }

        assert_eq!((reached_by(&bob).await, reached_by(&"carol".parse().unwrap()).await), (0, 1));
        assert_eq!(acme.blocks().of(&alice()).await.unwrap(), std::slice::from_ref(&bob));

        let who = bob.clone();
        acme.run("unblock", async move |tx| tx.unblock(&alice(), &who).await).await.unwrap();
        assert_eq!((reached_by(&bob).await, acme.blocks().of(&alice()).await.unwrap()), (1, vec![]));
    }

    async fn a_device_rings_by_identifiers_of_its_own_only(fixture) {
        let acme = fixture.with_devices(&["tablet", "phone"]).await;
        for name in ["tablet", "phone"] {
            acme.run("bind", async move |tx| tx.bind(&registration(name)).await).await.unwrap();
        }
        let reaches = |name| Target { endpoint: alice(), device: id(name), kind: "tablet".to_owned() };
        let rung = async |device: &str, by: &EndpointId, whom: &[EndpointId]| {
            let phones = "phone".parse().unwrap();
            acme.registrations().rung_from(&id(device), by, &phones, whom).await.unwrap()
        };
        let nobody = EndpointId::from_str("nobody").unwrap();

        let both = ["phone", "tablet"].map(reaches).to_vec();
        assert_eq!(rung("phone", &alice(), &[nobody.clone(), alice()]).await, Some(both));
        assert_eq!(rung("phone", &alice(), std::slice::from_ref(&nobody)).await, Some(vec![]));
        assert_eq!(rung("phone", &nobody, &[alice()]).await, None);
        assert_eq!(rung("stranger", &alice(), &[alice()]).await, None);
        acme.run("block", async |tx| tx.block(&alice(), &alice(), NOW).await).await.unwrap();
        assert_eq!(rung("phone", &alice(), &[alice()]).await, Some(vec![]));
    }

    async fn a_block_list_is_bounded_and_a_repeat_still_fits(fixture) {
        let acme = fixture.acme();
        let block = async |who: String| {
            let who = EndpointId::from_str(&who).unwrap();
            acme.run("block", async move |tx| tx.block(&alice(), &who, NOW).await).await.unwrap()
        };
        for n in 0..limits::BLOCKED {
            assert!(block(format!("somebody-{n}")).await);
        }
        assert!(!block("one-more".to_owned()).await);
        assert!(block("somebody-0".to_owned()).await);
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

    async fn what_has_expired_is_forgotten_in_time(fixture) {
        let acme = fixture.acme();
        enrol(&acme, "phone").await;
        assert_eq!(put(&acme, attempt("a-1", "key"), 0).await, PutAttempt::Stored(1));
        acme.run("fill", async |tx| {
            tx.put_secret(&secret("code")).await?;
            tx.put_transit_answer(&transit_answer("m-1")).await?;
            let doubtful = OutboxEntry { state: OutboxState::InDoubt, ..entry("doubt", NOW) };
            let entries = [entry("sent", NOW), entry("waits", NOW), doubtful];
            tx.apply(entries.map(Write::Enqueue).into()).await?;
            tx.move_outbox(&message_id("sent"), &[OutboxState::Queued], OutboxState::Sent).await
        })
        .await
        .unwrap();

        let swept = fixture.storage.sweep(LATER).await.unwrap();
        assert_eq!((swept.attempts, swept.secrets, swept.transit_answers, swept.outbox), (1, 0, 0, 0));
        let days_later = |days: u64| Timestamp::from_millis(NOW.as_millis() + days * 24 * 3_600_000);
        assert_eq!(fixture.storage.sweep(days_later(6)).await.unwrap().outbox, 0);
        let weeks_later = days_later(29);
        let swept = fixture.storage.sweep(weeks_later).await.unwrap();
        assert_eq!((swept.attempts, swept.secrets, swept.transit_answers, swept.outbox), (0, 1, 1, 1));
        assert!(acme.outbox_entry(&message_id("doubt")).await.unwrap().is_some());
        assert_eq!(fixture.storage.sweep(days_later(30)).await.unwrap().doubts, 1);
        assert!(acme.outbox_entry(&message_id("doubt")).await.unwrap().is_none());
        assert!(acme.outbox_entry(&message_id("waits")).await.unwrap().is_some());
    }
}

async fn put(storage: &TenantStorage, attempt: Attempt, expected: u64) -> PutAttempt {
    storage.run("step", async move |tx| tx.put_attempt(&attempt, expected, NOW).await).await.unwrap()
}
