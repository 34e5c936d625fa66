//! The story: three devices register by SMS, one by e-mail too; two calls, one direct, one through the relay; an invite in waves that
//! nobody answers.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context as _, ensure};
use serde_json::json;
use switchhook_client::{
    call::{Call, Prepared, Side},
    network::{Network, SystemNetwork, nat::SymmetricNat},
};
use switchhook_protocol::{
    call::PathKind,
    event::Event,
    id::SessionId,
    invitation::{Accept, Accepted, Cancel, Invite, InviteStatus, TakeMode},
};
use tokio::time::Instant;

use super::{
    email,
    phone::{Net, Phone, in_time},
    stage::Stage,
    timeline::short,
};

/// Datagrams each way, and their size in bytes: about a second of a good voice.
const DATAGRAMS: u32 = 50;
const SIZE: usize = 1_000;

pub(super) async fn tell(stage: &Stage) -> anyhow::Result<()> {
    stage.timeline.act("Registration by SMS");
    let mut alice = Phone::set_up(stage, "Alice's phone", "phone", "+15550100").await?;
    let mut bob = Phone::set_up(stage, "Bob's phone", "phone", "+15550101").await?;
    let mut tablet = Phone::set_up(stage, "Bob's tablet", "tablet", "+15550101").await?;

    stage.timeline.act("Registration by e-mail");
    Box::pin(email::registered(stage, &mut alice)).await?;

    stage.timeline.act("The first call: directly");
    let open = || -> Net { Arc::new(SystemNetwork::on(Ipv4Addr::LOCALHOST.into())) };
    let networks = (open(), open());
    Box::pin(call(stage, (&mut alice, &mut bob, &mut tablet), networks, PathKind::Direct)).await?;

    stage.timeline.act("The second call: both behind symmetric NATs");
    let nat = || -> Net { Arc::new(SymmetricNat::new(Ipv4Addr::LOCALHOST.into())) };
    let networks = (nat(), nat());
    Box::pin(call(stage, (&mut alice, &mut bob, &mut tablet), networks, PathKind::Relay)).await?;

    stage.timeline.act("The third: in waves, and nobody answers");
    Box::pin(waves(stage, (&mut alice, &mut bob, &mut tablet), &*open())).await?;

    for phone in [alice, bob, tablet] {
        phone.leave().await;
    }
    Ok(())
}

async fn call(
    stage: &Stage,
    (alice, bob, tablet): (&mut Phone, &mut Phone, &mut Phone),
    (alices, bobs): (Net, Net),
    expected: PathKind,
) -> anyhow::Result<()> {
    let timeline = &stage.timeline;
    let prepared = in_time("CDX", Prepared::new(&alice.client, &*alices)).await??;
    let seen = prepared.connection_data();
    let own = seen.claimed.host_candidates.len();
    timeline.step(
        alice.name,
        &format!("asks CDX: {} sealed observations, {own} address(es) of its own", seen.observed.len()),
    );
    let session = invite(stage, alice, &prepared).await?.session;
    let (rung, bobs_side) = ring(stage, (alice, bob, tablet), &bobs).await?;

    let accept = Accept {
        ticket: rung.ticket.clone(),
        inviter_connection_data: rung.inviter_connection_data.clone(),
        connection_data: bobs_side.connection_data().clone(),
        session_key: bobs_side.session_key().clone(),
        retry: false,
    };
    let answer = in_time("the accept", bob.rings.accept(&rung, &accept)).await??;
    timeline.step(bob.name, "accepts, and is taken");
    stage.tell_decisions().await?;
    let pushed = alice.expect("accept", |event| accepted(event, &session)).await?;
    timeline.step(alice.name, "hears of it");
    tablet.expect("cancel", |event| matches!(event, Event::Cancel(_)).then_some(())).await?;
    in_time("the tablet's silence", stage.silence(&session)).await??;
    timeline.step("server", "has the tablet's word that it has stopped");

    let verdict = stage.verdict(&session).await?;
    let relayed = expected == PathKind::Relay;
    ensure!(verdict.starts_with(if relayed { "relay" } else { "direct" }), "the verdict is {verdict}");
    let caller = Call::start(&alice.client, alices, prepared, Side::Inviter, pushed);
    let callee = Call::start(&bob.client, bobs, bobs_side, Side::Callee, answer);
    let (caller, callee) = in_time("the path", async { tokio::join!(caller, callee) }).await?;
    let (mut caller, mut callee) = (caller.context("Alice's side")?, callee.context("Bob's side")?);
    let path = caller.path().context("the call ended")?;
    ensure!(path == expected && callee.path() == Some(expected), "the path is {path:?}");
    timeline.step("both", &format!("have agreed on keys; the path is {path:?}").to_lowercase());
    exchange(stage, &mut caller, &mut callee).await?;
    caller.close().await;
    callee.close().await;
    Ok(())
}

/// Bob's phone rings first, his tablet a second later; Alice gives up, both fall silent, and the server says what
/// became of it.
async fn waves(
    stage: &Stage,
    (alice, bob, tablet): (&mut Phone, &mut Phone, &mut Phone),
    alices: &dyn Network,
) -> anyhow::Result<()> {
    stage.configure_router(&json!({ "first_kinds": ["phone"], "others_after_seconds": 1 })).await?;
    stage.timeline.step("operator", "has the router ring phones first, the rest a second later");
    let prepared = in_time("CDX", Prepared::new(&alice.client, alices)).await??;
    let status = invite(stage, alice, &prepared).await?;
    let rung = |event| if let Event::Invite(rung) = event { Some(rung) } else { None };
    bob.expect("invite", rung).await?;
    stage.timeline.step(bob.name, "is in the first wave");
    tablet.expect("invite", rung).await?;
    stage.timeline.step(tablet.name, "is in the second");
    in_time("the cancel", alice.client.cancel(&Cancel { ticket: status.ticket })).await??;
    stage.timeline.step(alice.name, "gives up");
    in_time("silence", stage.silence(&status.session)).await??;
    stage.timeline.step("server", "has the word of both that they have stopped; `switchhook explain` says:");
    stage.tell_explanation(&status.session).await
}

async fn invite(stage: &Stage, alice: &Phone, prepared: &Prepared) -> anyhow::Result<InviteStatus> {
    let invite = Invite {
        invited: vec!["+15550101".parse()?],
        dialled: vec![],
        from: alice.number.clone(),
        purpose: "audio".to_owned(),
        display_name: "Alice".to_owned(),
        connection_data: prepared.connection_data().clone(),
        session_key: prepared.session_key().clone(),
        take: TakeMode::First,
        idempotency_key: None,
    };
    let status = in_time("the invite", alice.client.invite(&invite)).await??;
    let kinds: Vec<&str> = status.devices.iter().map(|device| device.kind.as_str()).collect();
    stage.timeline.step(alice.name, &format!("invites Bob; told that these ring: {}", kinds.join(", ")));
    ensure!(kinds.len() == 2, "both of Bob's devices ring");
    stage.tell_decisions().await?;
    Ok(status)
}

/// Both of Bob's devices ring and Alice hears it; Bob's phone gets ready to accept.
async fn ring(
    stage: &Stage,
    (alice, bob, tablet): (&mut Phone, &mut Phone, &mut Phone),
    bobs: &Net,
) -> anyhow::Result<(switchhook_protocol::event::Rung, Prepared)> {
    let rung = |event| if let Event::Invite(rung) = event { Some(rung) } else { None };
    let at_phone = bob.expect("invite", rung).await?;
    tablet.expect("invite", rung).await?;
    for _ in 0..2 {
        alice.expect("ringing", |event| matches!(event, Event::Ringing(_)).then_some(())).await?;
    }
    stage.timeline.step(alice.name, "hears that both ring");
    let prepared = in_time("CDX", Prepared::new(&bob.client, &**bobs)).await??;
    Ok((at_phone, prepared))
}

fn accepted(event: Event, session: &SessionId) -> Option<Accepted> {
    let Event::Accept(accepted) = event else { return None };
    (accepted.session == *session).then_some(accepted)
}

/// Datagrams both ways, answered one by one: none may be lost on loopback.
async fn exchange(stage: &Stage, caller: &mut Call, callee: &mut Call) -> anyhow::Result<()> {
    let began = Instant::now();
    for number in 0..DATAGRAMS {
        let mut said = vec![0; SIZE];
        said.splice(..4, number.to_be_bytes());
        caller.send(&said)?;
        let heard = in_time("a datagram", callee.recv()).await?.context("the call ended")?;
        ensure!(heard == said, "Bob heard something else");
        callee.send(&heard)?;
        let echoed = in_time("its echo", caller.recv()).await?.context("the call ended")?;
        ensure!(echoed == said, "Alice heard something else");
    }
    let mean = began.elapsed() / DATAGRAMS;
    let sent = 2 * DATAGRAMS * u32::try_from(SIZE)? / 1_000;
    stage
        .timeline
        .step("both", &format!("exchange {sent} kB, encrypted end to end; {} a round trip", short(mean)));
    Ok(())
}
