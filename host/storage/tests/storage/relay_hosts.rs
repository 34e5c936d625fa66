//! Relay hosts: of no tenant, each with a row that it keeps itself.

use std::time::Duration;

use switchhook_core::relay_host::{MAX_HOSTS, REACHED, RelayAddresses, RelayHost, Said, TlsDoor};
use switchhook_protocol::{id::RelayHostId, time::Timestamp};
use switchhook_storage::{AdminToken, AuditEntry};

use crate::fixture::{EARLIER, LATER, NOW};

on_each_database! {
    async fn rel_1_a_relay_host_enters_and_says_again_where_it_is(fixture) {
        let hosts = fixture.storage.relay_hosts();
        hosts.beat((&id("eu-1"), false), &said("192.0.2.1:3478"), EARLIER).await.unwrap();
        hosts.beat((&id("node-1"), true), &said("192.0.2.2:3478"), NOW).await.unwrap();
        let fuller = Said { held: 7, leaving: true, knows_until: NOW, ..said("192.0.2.1:3478") };
        hosts.beat((&id("eu-1"), false), &fuller, NOW).await.unwrap();

        let eu = RelayHost {
            id: id("eu-1"),
            built_in: false,
            said: fuller,
            drain: false,
            entered_at: EARLIER,
            seen_at: NOW,
        };
        let node = RelayHost {
            id: id("node-1"),
            built_in: true,
            said: said("192.0.2.2:3478"),
            entered_at: NOW,
            ..eu.clone()
        };
        assert_eq!(hosts.all().await.unwrap(), [eu, node]);
    }

    /// REL-4.two-hosts
    async fn rel_1_a_relay_host_that_moves_enters_anew(fixture) {
        let hosts = fixture.storage.relay_hosts();
        for (addr, at) in [("192.0.2.1:3478", EARLIER), ("192.0.2.9:3478", NOW), ("192.0.2.9:3478", LATER)] {
            hosts.beat((&id("eu-1"), false), &said(addr), at).await.unwrap();
        }
        assert_eq!(hosts.all().await.unwrap()[0].entered_at, NOW);
    }

    async fn rel_1_what_the_operator_wants_of_a_relay_host_outlives_its_beats(fixture) {
        let hosts = fixture.storage.relay_hosts();
        let (eu, addr) = (id("eu-1"), said("192.0.2.1:3478"));
        assert!(!hosts.drain(&eu, true, noted("drain")).await.unwrap(), "there is no such host");
        hosts.beat((&eu, false), &addr, NOW).await.unwrap();

        assert!(hosts.drain(&eu, true, noted("drain")).await.unwrap());
        hosts.beat((&eu, false), &addr, LATER).await.unwrap();
        assert!(hosts.all().await.unwrap()[0].drain);

        assert!(hosts.drain(&eu, false, noted("undo")).await.unwrap());
        assert!(!hosts.all().await.unwrap()[0].drain);
        let audit = fixture.storage.operator_audit(0, 10).await.unwrap();
        assert!(audit.iter().map(|(_, entry)| entry.action.as_str()).eq(["drain", "undo"]));
    }

    async fn rel_1_a_relay_host_that_is_removed_has_no_token_any_more(fixture) {
        let (hosts, tokens) = (fixture.storage.relay_hosts(), fixture.storage.admin_tokens());
        for (byte, host) in [(1, "eu-1"), (2, "us-1")] {
            tokens.put(&token(byte, host), noted("token.create")).await.unwrap();
        }
        hosts.beat((&id("eu-1"), false), &said("192.0.2.1:3478"), NOW).await.unwrap();

        assert!(hosts.remove(&id("eu-1"), noted("remove")).await.unwrap());
        assert_eq!(hosts.all().await.unwrap(), []);
        assert!(tokens.get(&[1; 32]).await.unwrap().unwrap().revoked_at.is_some());
        assert_eq!(tokens.get(&[2; 32]).await.unwrap(), Some(token(2, "us-1")));
        assert!(!hosts.remove(&id("eu-1"), noted("remove")).await.unwrap());
        assert!(hosts.remove(&id("us-1"), noted("remove")).await.unwrap(), "it had a token, and no row");
    }

    async fn rel_1_a_beat_that_was_late_brings_no_removed_relay_host_back(fixture) {
        let (hosts, tokens) = (fixture.storage.relay_hosts(), fixture.storage.admin_tokens());
        for (byte, host) in [(1, "eu-1"), (2, "us-1")] {
            tokens.put(&token(byte, host), noted("token.create")).await.unwrap();
            hosts.beat((&id(host), false), &said("192.0.2.1:3478"), NOW).await.unwrap();
        }
        hosts.beat((&id("node-1"), true), &said("192.0.2.2:3478"), NOW).await.unwrap();
        assert!(hosts.remove(&id("eu-1"), noted("remove")).await.unwrap());
        hosts.beat((&id("eu-1"), false), &said("192.0.2.1:3478"), NOW).await.unwrap();

        for host in ["eu-1", "us-1", "node-1"] {
            hosts.forget_removed(&id(host)).await.unwrap();
        }
        let left: Vec<_> = hosts.all().await.unwrap().into_iter().map(|host| host.id).collect();
        assert_eq!(left, [id("node-1"), id("us-1")]);
    }

    /// REL-4.two-hosts
    async fn rel_1_a_relay_host_that_was_away_for_long_enters_anew(fixture) {
        let hosts = fixture.storage.relay_hosts();
        let back = NOW.after(REACHED);
        let later = back.after(REACHED).after(Duration::from_millis(1));
        for (at, entered_at) in [(NOW, NOW), (back, NOW), (later, later)] {
            hosts.beat((&id("eu-1"), false), &said("192.0.2.1:3478"), at).await.unwrap();
            assert_eq!(hosts.all().await.unwrap()[0].entered_at, entered_at);
        }
    }

    async fn the_relay_host_of_a_node_that_is_gone_is_forgotten_and_no_other(fixture) {
        let hosts = fixture.storage.relay_hosts();
        for (name, built_in, at) in
            [("eu-1", false, EARLIER), ("node-1", true, EARLIER), ("node-2", true, NOW)]
        {
            hosts.beat((&id(name), built_in), &said("192.0.2.1:3478"), at).await.unwrap();
        }
        hosts.forget_built_in(NOW).await.unwrap();
        let left: Vec<_> = hosts.all().await.unwrap().into_iter().map(|host| host.id).collect();
        assert_eq!(left, [id("eu-1"), id("node-2")]);
    }

    async fn rel_1_of_more_relay_hosts_than_are_read_dead_ones_hide_none_that_lives(fixture) {
        let hosts = fixture.storage.relay_hosts();
        for number in 0..=MAX_HOSTS {
            let gone = id(&format!("gone-{number}"));
            hosts.beat((&gone, true), &said("192.0.2.1:3478"), EARLIER).await.unwrap();
        }
        hosts.beat((&id("lives"), false), &said("192.0.2.2:3478"), NOW).await.unwrap();

        let read: Vec<_> = hosts.all().await.unwrap().into_iter().map(|host| host.id).collect();
        assert_eq!(read.len(), usize::try_from(MAX_HOSTS).unwrap());
        assert!(read.contains(&id("lives")), "{read:?}");
        assert!(read.is_sorted());
    }
}

fn id(name: &str) -> RelayHostId {
    name.parse().unwrap()
}

fn said(addr: &str) -> Said {
    Said {
        region: "eu".to_owned(),
        near: vec!["198.51.100.0/24".parse().unwrap()],
        addresses: RelayAddresses {
            main: addr.parse().unwrap(),
            other: Some("[2001:db8::1]:3478".parse().unwrap()),
            tls: Some(TlsDoor { port: 443, name: "relay.example".to_owned() }),
        },
        capacity: 1_000,
        held: 0,
        leaving: false,
        knows_until: Timestamp::from_millis(0),
    }
}

fn token(byte: u8, host: &str) -> AdminToken {
    AdminToken {
        hash: [byte; 32],
        tenant: None,
        application: None,
        relay_host: Some(id(host)),
        label: host.to_owned(),
        created_at: NOW,
        expires_at: Some(LATER),
        revoked_at: None,
    }
}

fn noted(action: &str) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: "operator".to_owned(),
        action: action.to_owned(),
        subject: "a relay host".to_owned(),
        detail: String::new(),
    }
}
