//! Who decides between direct and relay, and on what: CDX's observation before a client's claim.

use std::net::Ipv4Addr;

use anyhow::Result;
use serde_json::json;
use switchhook_client::{call::Side, network::nat::SymmetricNat};
use switchhook_protocol::{
    call::{PathKind, PathReport},
    connection_data::{Candidate, CandidateKind, Claims, Filtering, Mapping},
    error::ErrorCode,
    event::Rung,
    id::SessionId,
    invitation::Accepted,
    peer::Path,
    relay::RelayRequest,
};
use switchhook_tests::{
    host::Host,
    phone::{Net, Phone, open, refusal},
    waiting::in_time,
};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// What the two sides got.
pub(crate) struct Connected {
    pub(crate) session: SessionId,
    pub(crate) inviter: Accepted,
    pub(crate) callee: Accepted,
}

/// NAT-1.mapping, INV-5
#[tokio::test]
async fn nat_3_two_open_devices_get_a_direct_verdict_and_each_others_addresses() -> Result<()> {
    let host = Host::start().await?;
    let connected = connect(&host, (&open(), &open()), (Claims::default(), Claims::default()), true).await?;

    assert!(host.admin.verdict(&connected.session).await?.starts_with("direct"));
    for accepted in [&connected.inviter, &connected.callee] {
        let Path::Direct { candidates, .. } = &accepted.path else {
            panic!("not direct: {:?}", accepted.path)
        };
        assert!(candidates.iter().any(|candidate| candidate.address.ip().is_loopback()));
    }
    Ok(())
}

/// REL-1.one-host, REL-2
#[tokio::test]
async fn nat_1_what_cdx_sees_of_two_symmetric_nats_decides_for_the_relay() -> Result<()> {
    let host = Host::start().await?;
    let connected = connect(&host, (&nat(), &nat()), (Claims::default(), Claims::default()), true).await?;

    assert_eq!(host.admin.verdict(&connected.session).await?, "relay");
    let relays = [&connected.inviter, &connected.callee].map(|accepted| match &accepted.path {
        Path::Relay { relay, .. } => relay.clone(),
        other @ Path::Direct { .. } => panic!("not the relay: {other:?}"),
    });
    // One host for both; a token of its own for each.
    assert_eq!(relays[0].server, relays[1].server);
    assert_eq!(relays[0].server, host.addresses().relay);
    assert_ne!(relays[0].username, relays[1].username);
    assert_ne!(relays[0].password, relays[1].password);
    Ok(())
}

#[tokio::test]
async fn nat_1_a_claim_that_the_observation_contradicts_changes_nothing() -> Result<()> {
    let host = Host::start().await?;
    let open_world = Claims {
        mapping: Mapping::None,
        filtering: Filtering::None,
        host_candidates: Vec::new(),
        region: None,
    };
    let with_address = Claims {
        host_candidates: vec![Candidate {
            kind: CandidateKind::Host,
            address: "127.0.0.1:9".parse()?,
            priority: 1,
        }],
        ..open_world.clone()
    };

    for claims in [
        (open_world.clone(), open_world.clone()),
        (open_world.clone(), with_address.clone()),
        (with_address, open_world),
    ] {
        let connected = connect(&host, (&nat(), &nat()), claims, false).await?;
        assert_eq!(host.admin.verdict(&connected.session).await?, "relay");
        assert!(matches!(connected.callee.path, Path::Relay { .. }));
    }
    Ok(())
}

/// NAT-3
#[tokio::test]
async fn nat_1_without_an_observation_a_claim_gets_a_trial_and_the_relay_behind_it() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let prepared = alice.prepare(&nat()).await?;
    let mut invite = alice.invite_of(&prepared, &[BOB])?;
    // It hides what CDX saw, and says that it is open.
    invite.connection_data.observed.clear();
    invite.connection_data.claimed.mapping = Mapping::None;
    invite.connection_data.claimed.filtering = Filtering::None;
    let status = in_time("the invite", alice.client.invite(&invite)).await??;
    let rung = bob.expect_invite().await?;

    bob.accept(&rung).await??;

    let verdict = host.admin.verdict(&status.session).await?;
    assert!(verdict.starts_with("direct, relay after"), "{verdict}");
    Ok(())
}

#[tokio::test]
async fn nat_1_an_observation_that_cdx_did_not_seal_is_refused() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let elsewhere = Host::start().await?;
    let foreign = elsewhere.stranger().await?.prepare(&open()).await?;
    let prepared = alice.prepare(&open()).await?;
    let invite = alice.invite_of(&prepared, &[BOB])?;
    let before = host.stored().await?;

    let mut forged = Vec::new();
    for observed in [
        "forged".to_owned(),
        changed(&invite.connection_data.observed[0]),
        foreign.connection_data().observed[0].clone(),
    ] {
        let mut invite = invite.clone();
        invite.connection_data.observed[0] = observed.clone();
        forged.push(observed);
        let answer = in_time("the answer", alice.client.invite(&invite)).await?;
        assert_eq!(refusal(answer)?, ErrorCode::BadObservation);
    }
    assert_eq!(host.stored().await?, before);

    // The same holds for an accept; the ring goes on.
    in_time("the invite", alice.client.invite(&invite)).await??;
    let rung = bob.expect_invite().await?;
    let accept = Phone::accept_of(&bob.prepare(&open()).await?, &rung);
    for observed in forged {
        let mut accept = accept.clone();
        accept.connection_data.observed[0] = observed;
        let answer = in_time("the answer", bob.client.accept(&accept)).await?;
        assert_eq!(refusal(answer)?, ErrorCode::BadObservation);
    }
    in_time("the answer", bob.client.accept(&accept)).await??;
    Ok(())
}

#[tokio::test]
async fn nat_4_an_accept_after_a_failed_direct_attempt_gets_the_relay_and_rings_nobody() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let mut tablet = host.device("tablet", BOB).await?;
    let status = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    tablet.expect_invite().await?;
    let mut accept = Phone::accept_of(&bob.prepare(&open()).await?, &rung);
    let first = in_time("the accept", bob.client.accept(&accept)).await??;
    assert!(matches!(first.path, Path::Direct { .. }));

    accept.retry = true;
    accept.ticket = first.ticket;
    let second = in_time("the accept", bob.client.accept(&accept)).await??;

    assert!(second.retry && matches!(second.path, Path::Relay { .. }));
    let mut alice = alice;
    alice
        .expect_event("the other accept", |event| {
            let switchhook_protocol::event::Event::Accept(accepted) = event else { return None };
            (accepted.retry && matches!(accepted.path, Path::Relay { .. })).then_some(())
        })
        .await?;
    assert_eq!(host.admin.verdict(&status.session).await?, "relay");
    rings_no_more(&mut tablet).await
}

/// The standard policy gives the direct path a second attempt here, but not to who has asked for the relay.
#[tokio::test]
async fn nat_4_whichever_side_has_asked_for_the_relay_the_next_verdict_is_the_relay() -> Result<()> {
    let host = Host::start().await?;
    let twice = json!({ "version": 1, "configuration": { "attempts": 2 } });
    host.admin.changed("nat-policy/nat-policy-standard", "activate", &twice).await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    for asks in [None, Some(Side::Inviter), Some(Side::Callee)] {
        alice.invite(BOB).await?;
        let rung = bob.expect_invite().await?;
        let mut accept = Phone::accept_of(&bob.prepare(&open()).await?, &rung);
        let his = in_time("the accept", bob.client.accept(&accept)).await??;
        let hers = alice.expect_accept(&his.session).await?;
        let asking = match asks {
            None => None,
            Some(Side::Inviter) => Some((&alice, hers.ticket)),
            Some(Side::Callee) => Some((&bob, his.ticket.clone())),
        };
        if let Some((phone, ticket)) = asking {
            in_time("the relay", phone.client.relay_request(&RelayRequest { ticket })).await??;
        }

        (accept.retry, accept.ticket) = (true, his.ticket);
        let again = in_time("the accept", bob.client.accept(&accept)).await??;

        assert_eq!(matches!(again.path, Path::Relay { .. }), asks.is_some(), "{asks:?}");
    }
    Ok(())
}

/// INV-1
#[tokio::test]
async fn nat_1_a_client_learns_its_mapping_from_both_ports_of_cdx() -> Result<()> {
    let host = Host::start().await?;
    let alice = host.stranger().await?;
    let (at_home, behind) = (alice.prepare(&open()).await?, alice.prepare(&nat()).await?);
    assert_eq!(at_home.connection_data().observed.len(), 2);
    assert_eq!(behind.connection_data().observed.len(), 2);
    assert_eq!(at_home.connection_data().claimed.host_candidates.len(), 1);
    assert!(behind.connection_data().claimed.host_candidates.is_empty());
    Ok(())
}

/// PLUG-2
#[tokio::test]
async fn nat_3_the_policy_is_an_activated_plugin_and_without_it_the_relay_is_the_default() -> Result<()> {
    let host = Host::start().await?;
    for plugin in ["nat-policy/nat-policy-standard", "invite-router/route-ring-all"] {
        host.admin.changed(plugin, "deactivate", &json!({})).await?;
    }

    // Nor is there a router: the declared default rings everybody.
    let connected = connect(&host, (&open(), &open()), (Claims::default(), Claims::default()), true).await?;

    let decisions = host.admin.decisions(connected.session.as_str()).await?;
    let told: Vec<_> = decisions
        .iter()
        .map(|made| (made.slot.as_str(), made.outcome.as_str(), made.failure.is_some()))
        .collect();
    assert_eq!(told, [("invite-router", "ring 1 in 1 wave(s)", true), ("nat-policy", "relay", true)]);
    Ok(())
}

/// PLUG-2
#[tokio::test]
async fn nat_3_a_tenant_that_wants_it_has_every_session_relayed() -> Result<()> {
    let host = Host::start().await?;
    let policy = "nat-policy/nat-policy-relay-only";
    host.admin.changed(policy, "activate", &json!({ "version": 1 })).await?;

    let connected = connect(&host, (&open(), &open()), (Claims::default(), Claims::default()), true).await?;

    assert_eq!(host.admin.verdict(&connected.session).await?, "relay");
    assert!(matches!(connected.inviter.path, Path::Relay { .. }));
    Ok(())
}

#[tokio::test]
async fn nat_3_a_policy_learns_from_what_the_inviters_report_about_two_networks() -> Result<()> {
    let host = Host::start().await?;
    host.admin.changed("nat-policy/nat-policy-learning", "activate", &json!({ "version": 1 })).await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let first = meet(&mut alice, &mut bob).await?;
    assert_eq!(host.admin.verdict(&first.session).await?, "direct, relay after 3000 ms");

    // What the callee says counts for nothing, and a session counts once.
    for (phone, accepted) in [(&bob, &first.callee), (&alice, &first.inviter)] {
        for _ in 0..30 {
            report_relay(phone, accepted).await?;
        }
    }
    let mut last = meet(&mut alice, &mut bob).await?;
    assert_eq!(host.admin.verdict(&last.session).await?, "direct, relay after 3000 ms");

    // Some more outweigh the first guess. Neighbours are tried all the same.
    for _ in 0..8 {
        report_relay(&alice, &last.inviter).await?;
        last = meet(&mut alice, &mut bob).await?;
    }
    assert_eq!(host.admin.verdict(&last.session).await?, "direct, relay after 1500 ms");
    Ok(())
}

async fn report_relay(phone: &Phone, accepted: &Accepted) -> Result<()> {
    let ticket = accepted.ticket.clone();
    let report = PathReport { ticket, path: PathKind::Relay, took_ms: 1 };
    in_time("the report", phone.client.path_report(&report)).await??;
    Ok(())
}

/// Alice calls Bob; each claims what it is told, or what its network says.
pub(crate) async fn connect(
    host: &Host,
    networks: (&Net, &Net),
    claims: (Claims, Claims),
    honest: bool,
) -> Result<Connected> {
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let (hers, his) = (alice.prepare(networks.0).await?, bob.prepare(networks.1).await?);
    let mut invite = alice.invite_of(&hers, &[BOB])?;
    if !honest {
        invite.connection_data.claimed = claims.0;
    }
    let status = in_time("the invite", alice.client.invite(&invite)).await??;
    let rung = wait_for_ring(&mut bob, &status.session).await?;
    let mut accept = Phone::accept_of(&his, &rung);
    if !honest {
        accept.connection_data.claimed = claims.1;
    }
    let callee = in_time("the accept", bob.client.accept(&accept)).await??;
    let inviter = alice.expect_accept(&status.session).await?;
    Ok(Connected { session: status.session, inviter, callee })
}

/// Alice calls Bob, both at home.
async fn meet(alice: &mut Phone, bob: &mut Phone) -> Result<Connected> {
    let (hers, his) = (alice.prepare(&open()).await?, bob.prepare(&open()).await?);
    let invite = alice.invite_of(&hers, &[BOB])?;
    let status = in_time("the invite", alice.client.invite(&invite)).await??;
    let rung = wait_for_ring(bob, &status.session).await?;
    let callee = in_time("the accept", bob.client.accept(&Phone::accept_of(&his, &rung))).await??;
    let inviter = alice.expect_accept(&status.session).await?;
    Ok(Connected { session: status.session, inviter, callee })
}

async fn wait_for_ring(phone: &mut Phone, session: &SessionId) -> Result<Rung> {
    loop {
        let rung = phone.expect_invite().await?;
        if rung.session == *session {
            return Ok(rung);
        }
    }
}

async fn rings_no_more(phone: &mut Phone) -> Result<()> {
    let heard = phone.heard().await?;
    let rings = heard.iter().filter(|event| {
        use switchhook_client::ClientEvent;
        matches!(event, ClientEvent::Event(delivered) if matches!(delivered.event, switchhook_protocol::event::Event::Invite(_)))
    });
    assert_eq!(rings.count(), 0, "no second ring");
    Ok(())
}

pub(crate) fn nat() -> Net {
    std::sync::Arc::new(SymmetricNat::new(Ipv4Addr::LOCALHOST.into()))
}

/// The same text with its last letter changed.
fn changed(sealed: &str) -> String {
    let (head, last) = sealed.split_at(sealed.len() - 1);
    format!("{head}{}", if last == "A" { "Q" } else { "A" })
}
