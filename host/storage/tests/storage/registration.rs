//! Devices, registrations, attempts, secrets, transits, outbox.

use std::str::FromStr as _;

use switchhook_core::{
    row::{
        Attempt, Gateway, OutboxEntry, OutboxKind, OutboxState, Provider, SecretKind, SmppAccount, Target,
        TextPart, TransitAnswer, TwilioAccount, Write,
    },
    transit::policy::TextPolicy,
};
use switchhook_protocol::{
    carrier::{Carrier, CarrierBundle},
    endpoint::EndpointId,
    id::GatewayId,
    time::Timestamp,
};
use switchhook_storage::{PutAttempt, StorageError, TenantStorage, limits};

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

    async fn reg_2_a_transits_message_keeps_its_first_answer(fixture) {
        let acme = fixture.acme();
        let answer = |tries: &'static str| {
            let acme = acme.clone();
            async move {
                let answer = TransitAnswer { answer: tries.to_owned(), ..transit_answer("m-1") };
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
            let gateway = Gateway { number: number.to_owned(), ..gateway("transit") };
            acme.run("configure", async move |tx| tx.put_gateway(&gateway).await).await.unwrap();
        }

        let stored = acme.gateways().get(&"transit".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(stored.number, "+15550002");
        assert_eq!(acme.gateways().list().await.unwrap(), [stored]);
    }

    async fn a_transit_of_any_provider_comes_back_as_it_was_and_is_removed(fixture) {
        let acme = fixture.acme();
        let account = "AC0".to_owned();
        let twilio = TwilioAccount { account, api_url: TwilioAccount::api_url(), messaging_service: None };
        let put = Gateway { provider: Provider::Twilio(twilio), ..gateway("transit") };
        let stored = put.clone();
        acme.run("configure", async move |tx| tx.put_gateway(&stored).await).await.unwrap();

        assert_eq!(acme.gateways().get(&put.id).await.unwrap(), Some(put.clone()));
        let remove = |id: GatewayId| acme.run("remove", async move |tx| tx.remove_gateway(&id).await);
        assert!(remove(put.id.clone()).await.unwrap());
        assert!(!remove(put.id).await.unwrap());
    }

    async fn a_gateway_that_cannot_be_read_is_nobody_elses_trouble(fixture) {
        let acme = fixture.acme();
        let smsc = |address: &str| {
            Provider::Smpp(SmppAccount {
                address: address.to_owned(),
                tls: false,
                system_id: "switchhook".to_owned(),
                system_type: String::new(),
                unknown_is_international: false,
                window: 1,
            })
        };
        let rows = ["broken", "whole"].map(|name| Gateway { provider: smsc(name), ..gateway(name) });
        let whole = rows[1].clone();
        acme.run("configure", async move |tx| {
            for row in &rows {
                tx.put_gateway(row).await?;
            }
            Ok::<_, StorageError>(())
        })
        .await
        .unwrap();
        fixture.say("UPDATE gateways SET provider = '{\"kind\":\"pigeon\"}' WHERE gateway = 'broken'").await;

        let kept = fixture.storage.kept_gateways().await.unwrap();
        assert!(matches!(kept[0], Err(StorageError::Corrupt { .. })), "{kept:?}");
        assert_eq!(kept[1].as_ref().unwrap(), &(acme.tenant().clone(), whole));
    }

    async fn how_texts_fared_is_known_by_gateway_and_country_for_a_day(fixture) {
        let acme = fixture.acme();
        acme.commit("transit", vec![Write::Enqueue(entry("text", NOW))]).await.unwrap();
        let (transit, other): (GatewayId, GatewayId) = ("transit".parse().unwrap(), "other".parse().unwrap());
        let attempt = "attempt-1".parse().unwrap();
        acme.run("count", async move |tx| {
            for gateway in [&transit, &transit, &other] {
                tx.count_text(gateway, &alice(), NOW).await?;
            }
            tx.count_text(&transit, &"+4915112345678".parse().unwrap(), NOW).await?;
            tx.count_proof(&attempt, &alice(), NOW).await
        })
        .await
        .unwrap();

        let fared = acme.gateways().conversions(NOW).await.unwrap();
        let fared: Vec<_> = fared.iter().map(|(gateway, code, fared)| (gateway.as_str(), code.as_str(), fared.sent, fared.proven)).collect();
        assert_eq!(fared, [("other", "+1", 1, 0), ("transit", "+1", 2, 1), ("transit", "+49", 1, 0)]);
        let tomorrow = Timestamp::from_millis(NOW.as_millis() + 25 * 3_600_000);
        assert!(acme.gateways().conversions(tomorrow).await.unwrap().is_empty());
        assert_eq!(fixture.storage.sweep(tomorrow).await.unwrap().conversions, 3);
    }

    async fn parts_of_a_long_text_wait_for_each_other_and_are_forgotten_in_time(fixture) {
        let acme = fixture.acme();
        let transit: GatewayId = "transit".parse().unwrap();
        let part = |message: &str, number: u8, said: &[u8]| TextPart {
            gateway: "transit".parse().unwrap(),
            message: message.to_owned(),
            number,
            part: said.to_vec(),
            at: NOW,
        };
        let parts = [part("m", 2, b"b"), part("n", 1, b"x"), part("m", 1, b"?"), part("m", 1, b"a")];
        let came = acme.run("parts", async move |tx| {
            for part in &parts {
                tx.put_text_part(part).await?;
            }
            let came = tx.text_parts(&transit, "m").await?;
            tx.forget_text_parts(&transit, "m").await?;
            assert!(tx.text_parts(&transit, "m").await?.is_empty());
            Ok::<_, StorageError>(came)
        });
        assert_eq!(came.await.unwrap(), [(1, b"a".to_vec()), (2, b"b".to_vec())]);

        assert_eq!(fixture.storage.sweep(NOW).await.unwrap().text_parts, 0);
        let hours_later = Timestamp::from_millis(NOW.as_millis() + 3 * 3_600_000);
        assert_eq!(fixture.storage.sweep(hours_later).await.unwrap().text_parts, 1);
    }

    async fn parts_of_a_gateway_are_bounded_the_oldest_go_first(fixture) {
        let acme = fixture.acme();
        let transit: GatewayId = "transit".parse().unwrap();
        let all: Vec<u64> = (0..=u64::from(limits::PARTS)).collect();
        // Each in a transaction that ends in time.
        for some in all.chunks(128).map(<[u64]>::to_vec) {
            let gateway = transit.clone();
            acme.run("parts", async move |tx| {
                for number in some {
                    let (gateway, message) = (gateway.clone(), format!("m-{number}"));
                    let at = Timestamp::from_millis(NOW.as_millis() + number);
                    tx.put_text_part(&TextPart { gateway, message, number: 1, part: vec![1], at }).await?;
                }
                Ok::<_, StorageError>(())
            })
            .await
            .unwrap();
        }
        let kept = acme.run("parts", async move |tx| {
            let oldest = tx.text_parts(&transit, "m-0").await?.len();
            Ok::<_, StorageError>((oldest, tx.text_parts(&transit, "m-1").await?.len()))
        });
        assert_eq!(kept.await.unwrap(), (0, 1));
    }

    async fn a_number_whose_owner_wants_no_texts_is_known_until_they_want_them_again(fixture) {
        let acme = fixture.acme();
        for (out, known) in [(true, true), (true, true), (false, false)] {
            acme.run("opt-out", async move |tx| tx.opt_out(&alice(), out, NOW).await).await.unwrap();
            assert_eq!(acme.has_opted_out(&alice()).await.unwrap(), known);
        }
    }

    async fn what_texts_cost_is_added_up_by_day(fixture) {
        let (acme, other) = (fixture.acme(), fixture.storage.of(&"other".parse().unwrap()));
        let spend = |storage: &TenantStorage, day| {
            let storage = storage.clone();
            async move { storage.run("spend", async move |tx| tx.spend_texts(2, day).await).await.unwrap() }
        };
        assert_eq!((spend(&acme, 7).await, spend(&acme, 7).await, spend(&other, 7).await), (2, 4, 2));
        assert_eq!((spend(&acme, 8).await, spend(&acme, 8).await), (2, 4));
    }

    async fn a_text_policy_comes_back_as_it_was(fixture) {
        let acme = fixture.acme();
        assert_eq!(acme.text_policy().await.unwrap(), TextPolicy::default());
        for policy in [
            TextPolicy { per_day: Some(7), countries: vec!["+1".to_owned()] },
            TextPolicy { per_day: None, countries: vec![] },
        ] {
            let put = policy.clone();
            acme.run("policy", async move |tx| tx.put_text_policy(&put).await).await.unwrap();
            assert_eq!(acme.text_policy().await.unwrap(), policy);
        }
    }

    async fn reg_15_a_carrier_bundle_counts_its_changes(fixture) {
        let acme = fixture.acme();
        assert_eq!(acme.carriers().await.unwrap(), CarrierBundle::default());
        for version in 1..=2 {
            let carriers = vec![Carrier { mcc: None, mnc: None, country: None, number: "70470".to_owned() }];
            let put = carriers.clone();
            let stored = acme.run("carriers", async move |tx| tx.put_carriers(&put).await).await.unwrap();
            assert_eq!(stored, CarrierBundle { version, carriers });
            assert_eq!(acme.carriers().await.unwrap(), stored);
        }
    }

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

        assert_eq!(claimed("here", 64).await, ["dead"; 8]);
        assert_eq!(claimed("here", 56).await, ["good"]);
        assert!(claimed("here", 55).await.is_empty());
        assert_eq!(claimed("elsewhere", 5).await, ["dead"; 5], "another node has places of its own");
    }

    async fn gateways_that_do_not_answer_leave_places_to_others_whosever_they_are(fixture) {
        let outbox = fixture.storage.outbox();
        let (share, most) = (u64::from(limits::SHARE), 2 * u64::from(limits::SHARE) - 1);
        let queue = async |tenant: &str, gateway: &str, numbers: std::ops::Range<u64>| {
            let by = |number: u64| OutboxEntry {
                gateway: Some(gateway.parse().unwrap()),
                ..entry(&format!("{gateway}-{number}"), Timestamp::from_millis(number))
            };
            let texts = numbers.map(|number| Write::Enqueue(by(number))).collect();
            fixture.storage.of(&tenant.parse().unwrap()).commit("transit", texts).await.unwrap();
        };
        let claimed = async || outbox.claim(&node("here"), OutboxKind::Text, 64).await.unwrap().len();

        for (tenant, gateway) in [("acme", "one"), ("other", "two")] {
            // One short of where no more is begun, and then as many as are begun at once.
            queue(tenant, gateway, 0..share - 1).await;
            let first = claimed().await;
            queue(tenant, gateway, 100..200).await;
            assert_eq!(u64::try_from(first + claimed().await), Ok(most));
        }
        assert_eq!(claimed().await, 0);
        assert!(3 * most <= 48, "three leave no quarter of 64 places");
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

    async fn what_has_expired_is_forgotten_in_time(fixture) {
        let acme = fixture.acme();
        enrol(&acme, "phone").await;
        assert_eq!(put(&acme, attempt("a-1", "key"), 0).await, PutAttempt::Stored(1));
        acme.run("fill", async |tx| {
            tx.put_secret(&secret("code")).await?;
            tx.put_transit_answer(&transit_answer("m-1")).await?;
            tx.apply(vec![Write::Enqueue(entry("sent", NOW)), Write::Enqueue(entry("waits", NOW))]).await?;
            tx.move_outbox(&message_id("sent"), &[OutboxState::Queued], OutboxState::Sent).await
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

async fn moves(storage: &TenantStorage, from: &'static [OutboxState], to: OutboxState) -> bool {
    storage.run("settle", async move |tx| tx.move_outbox(&message_id("text"), from, to).await).await.unwrap()
}
