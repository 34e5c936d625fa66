//! Gateways, what came by them, and what their texts cost.

use switchhook_core::{
    row::{Gateway, Provider, SmppAccount, TextPart, TransitAnswer, TwilioAccount, Write},
    transit::policy::TextPolicy,
};
use switchhook_protocol::{
    carrier::{Carrier, CarrierBundle},
    id::GatewayId,
    time::Timestamp,
};
use switchhook_storage::{StorageError, TenantStorage, limits};

use crate::fixture::{NOW, alice, entry, gateway, transit_answer};

on_each_database! {
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
            tx.count_delivery(&other, &alice(), NOW).await?;
            tx.count_proof(&attempt, &alice(), NOW).await
        })
        .await
        .unwrap();

        let fared = acme.gateways().conversions(NOW).await.unwrap();
        let fared: Vec<_> = fared.iter().map(|(gateway, code, fared)| (gateway.as_str(), code.as_str(), fared.sent, fared.delivered, fared.proven)).collect();
        assert_eq!(fared, [("other", "+1", 1, 1, 0), ("transit", "+1", 2, 0, 1), ("transit", "+49", 1, 0, 0)]);
        let tomorrow = Timestamp::from_millis(NOW.as_millis() + 25 * 3_600_000);
        assert!(acme.gateways().conversions(tomorrow).await.unwrap().is_empty());
        assert_eq!(fixture.storage.sweep(tomorrow).await.unwrap().conversions, 3);
    }

    async fn reg_5_how_texts_fared_is_known_by_the_beginning_of_their_numbers_for_a_day(fixture) {
        let (acme, other) = (fixture.acme(), fixture.storage.of(&"other".parse().unwrap()));
        let transit: GatewayId = "transit".parse().unwrap();
        acme.run("count", async move |tx| {
            // Of one carrier's block, of its neighbour, and of what is no number.
            for number in ["+4915112345678", "+4915187654321", "+4916012345678", "bob@example.com"] {
                tx.count_text(&transit, &number.parse().unwrap(), NOW).await?;
            }
            tx.count_delivery(&transit, &"+4915112345678".parse().unwrap(), NOW).await
        })
        .await
        .unwrap();

        let tomorrow = Timestamp::from_millis(NOW.as_millis() + 25 * 3_600_000);
        for (of, beginning, at, known) in [
            (&acme, "+49151", NOW, (2, 1, 0)),
            (&acme, "+49160", NOW, (1, 0, 0)),
            (&acme, "+49", NOW, (0, 0, 0)),
            (&acme, "+49151", tomorrow, (0, 0, 0)),
            (&other, "+49151", NOW, (0, 0, 0)),
        ] {
            let fared = of.gateways().conversion_of_prefix(beginning, at).await.unwrap();
            assert_eq!((fared.sent, fared.delivered, fared.proven), known, "{beginning}");
        }
        assert_eq!(fixture.storage.sweep(tomorrow).await.unwrap().conversions_of_prefix, 2);
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
            TextPolicy { per_day: Some(7), countries: vec!["+1".to_owned()], only_valid: true },
            TextPolicy::default(),
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
}
