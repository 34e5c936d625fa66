//! Exchange: the sides of a session tell each other where they are, by way of CDX and of the host (NAT-2, NAT-5).

use std::{net::Ipv6Addr, sync::Arc};

use anyhow::{Result, bail};
use serde_json::json;
use switchhook_client::{
    call::{Call, Prepared, Side},
    network::SystemNetwork,
};
use switchhook_protocol::{
    call::PathKind,
    error::ErrorCode,
    event::Event,
    exchange::{ConnectionDataChanged, Exchange, PeerElsewhere},
    id::SessionId,
    invitation::Accepted,
    peer::Path,
};
use switchhook_tests::{
    host::Host,
    phone::{Net, Phone, open, refusal},
    skipped,
    waiting::in_time,
};

use crate::nat::nat;

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// An accepted invite, and what each side has.
struct Agreed {
    session: SessionId,
    alice: (Phone, Prepared, Accepted),
    bob: (Phone, Prepared, Accepted),
}

/// NAT-2.exchange
#[tokio::test]
async fn nat_2_what_cdx_hands_on_is_enough_to_meet() -> Result<()> {
    let host = Host::start().await?;
    let Agreed { alice, bob, .. } = agree(&host, &open()).await?;
    // What the host has said is forgotten: who meets has heard it from CDX.
    let (hers, his) = (forgotten(alice.2)?, forgotten(bob.2)?);

    let caller = Call::start(&alice.0.client, open(), alice.1, Side::Inviter, hers);
    let callee = Call::start(&bob.0.client, open(), bob.1, Side::Callee, his);
    let (caller, mut callee) = in_time("the path", async { tokio::join!(caller, callee) }).await?;

    let caller = caller?;
    let callee = callee.as_mut().ok();
    assert_eq!(
        (caller.path(), callee.and_then(|call| call.path())),
        (Some(PathKind::Direct), Some(PathKind::Direct))
    );
    let handed = host.admin.metric(r#"switchhook_cdx_datagrams_total{outcome="handed-on"}"#).await?;
    assert!(handed >= Some(1.0), "{handed:?}");
    Ok(())
}

/// NAT-2.own, NAT-1.mapping
#[tokio::test]
async fn nat_2_a_client_asks_cdx_in_secret_over_both_families_of_addresses() -> Result<()> {
    if !skipped::has_ipv6("nat_2_a_client_asks_cdx_in_secret_over_both_families_of_addresses") {
        return Ok(());
    }
    let host = Host::with(|settings| settings.cdx.other_family_ip = Some(Ipv6Addr::LOCALHOST.into())).await?;
    let phone = host.stranger().await?;
    let prepared = in_time("what CDX sees", phone.prepare(&both_families())).await??;

    assert_eq!(prepared.connection_data().observed.len(), 4);
    let asked = host.admin.metric(r#"switchhook_cdx_datagrams_total{outcome="secret"}"#).await?;
    assert!(asked >= Some(4.0), "{asked:?}");
    let in_clear = host.admin.metric(r#"switchhook_cdx_datagrams_total{outcome="observation"}"#).await?;
    assert_eq!(in_clear, Some(0.0), "nothing was asked in clear");
    Ok(())
}

/// PLUG-2
#[tokio::test]
async fn nat_3_a_callees_address_is_shown_when_it_says_so_and_not_before() -> Result<()> {
    let host = Host::with(|settings| settings.relay.allow_loopback = true).await?;
    let policy = "nat-policy/nat-policy-relay-until-accepted";
    host.admin.changed(policy, "activate", &json!({ "version": 1 })).await?;
    let Agreed { session, alice, bob } = agree(&host, &open()).await?;
    assert_eq!(host.admin.verdict(&session).await?, "relay until accepted");
    for accepted in [&alice.2, &bob.2] {
        assert!(matches!(accepted.path, Path::Relay { until_accepted: true, .. }), "{:?}", accepted.path);
    }

    let caller = Call::start(&alice.0.client, open(), alice.1, Side::Inviter, alice.2);
    let callee = Call::start(&bob.0.client, open(), bob.1, Side::Callee, bob.2);
    let (caller, callee) = in_time("the relay", async { tokio::join!(caller, callee) }).await?;
    let (caller, callee) = (caller?, callee?);
    assert_eq!((caller.path(), callee.path()), (Some(PathKind::Relay), Some(PathKind::Relay)));
    // The inviter's leave changes nothing: the callee's is asked for.
    caller.show_address();
    callee.show_address();

    let direct = |path: Option<(PathKind, _)>| path.is_some_and(|(kind, _)| kind == PathKind::Direct);
    in_time("the caller's direct path", caller.path_becomes(direct)).await?;
    in_time("the callee's direct path", callee.path_becomes(direct)).await?;
    Ok(())
}

/// NAT-5
#[tokio::test]
async fn nat_5_who_is_elsewhere_says_so_and_the_other_side_learns_it() -> Result<()> {
    let host = Host::start().await?;
    let mut agreed = agree(&host, &open()).await?;
    let elsewhere = agreed.alice.0.prepare(&open()).await?;
    let exchange = ticket(&agreed.alice.2)?;
    let change = ConnectionDataChanged {
        ticket: agreed.alice.2.ticket.clone(),
        exchange: Some(exchange.ticket.clone()),
        connection_data: elsewhere.connection_data().clone(),
    };

    let taken = in_time("the answer", agreed.alice.0.client.connection_data(&change)).await??;

    let moved_to = elsewhere.connection_data().claimed.host_candidates[0].address;
    let own = taken.exchange.map(|exchange| (exchange.cdx, exchange.own));
    assert_eq!(own, Some((exchange.cdx, moved_to)));
    let told: PeerElsewhere = agreed
        .bob
        .0
        .expect_event("the move", |event| {
            let Event::ConnectionData(told) = event else { return None };
            Some(told.clone())
        })
        .await?;
    assert_eq!(told.session, agreed.session);
    assert!(told.candidates.iter().any(|candidate| candidate.address == moved_to));
    assert_eq!(told.exchange.map(|exchange| exchange.own), Some(ticket(&agreed.bob.2)?.own));
    Ok(())
}

/// NAT-5
#[tokio::test]
async fn nat_5_a_ticket_of_somebody_else_or_a_forged_one_moves_nobody() -> Result<()> {
    let host = Host::start().await?;
    let agreed = agree(&host, &open()).await?;
    let (bobs, own) = (ticket(&agreed.bob.2)?.ticket, ticket(&agreed.alice.2)?.ticket);
    let forged = format!("{}{}", &own[..own.len() - 1], if own.ends_with('A') { "Q" } else { "A" });
    let before = host.stored().await?;
    for exchange in [bobs, forged, "guessed".to_owned()] {
        let change = ConnectionDataChanged {
            ticket: agreed.alice.2.ticket.clone(),
            exchange: Some(exchange),
            connection_data: agreed.alice.1.connection_data().clone(),
        };
        let answer = in_time("the answer", agreed.alice.0.client.connection_data(&change)).await?;
        assert_eq!(refusal(answer)?, ErrorCode::BadTicket);
    }
    assert_eq!(host.stored().await?, before);
    Ok(())
}

/// NAT-3
#[tokio::test]
async fn nat_5_after_a_verdict_for_the_relay_no_address_is_told() -> Result<()> {
    let host = Host::start().await?;
    let agreed = agree(&host, &nat()).await?;
    assert!(matches!(agreed.alice.2.path, Path::Relay { .. }));
    let change = ConnectionDataChanged {
        ticket: agreed.alice.2.ticket.clone(),
        exchange: None,
        connection_data: agreed.alice.1.connection_data().clone(),
    };
    let answer = in_time("the answer", agreed.alice.0.client.connection_data(&change)).await?;
    assert_eq!(refusal(answer)?, ErrorCode::Forbidden);
    Ok(())
}

/// Alice calls Bob, both in this kind of network.
async fn agree(host: &Host, network: &Net) -> Result<Agreed> {
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let hers = alice.prepare(network).await?;
    let status = in_time("the invite", alice.client.invite(&alice.invite_of(&hers, &[BOB])?)).await??;
    let rung = bob.expect_invite().await?;
    let his = bob.prepare(network).await?;
    let answer = in_time("the accept", bob.client.accept(&Phone::accept_of(&his, &rung))).await??;
    let pushed = alice.expect_accept(&status.session).await?;
    Ok(Agreed { session: status.session, alice: (alice, hers, pushed), bob: (bob, his, answer) })
}

/// All addresses of this machine.
fn both_families() -> Net {
    Arc::new(SystemNetwork::default())
}

fn ticket(accepted: &Accepted) -> Result<Exchange> {
    match &accepted.path {
        Path::Direct { exchange: Some(exchange), .. } => Ok(exchange.clone()),
        other @ (Path::Direct { .. } | Path::Relay { .. }) => bail!("no ticket for CDX: {other:?}"),
    }
}

fn forgotten(mut accepted: Accepted) -> Result<Accepted> {
    let Path::Direct { candidates, .. } = &mut accepted.path else { bail!("not direct") };
    candidates.clear();
    Ok(accepted)
}
