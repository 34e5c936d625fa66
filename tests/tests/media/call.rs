//! Bytes: directly, through the relay, and through the relay after a direct attempt (NAT-4, REL-1 to REL-3).

use anyhow::{Context as _, Result};
use switchhook_client::{
    ClientEvent,
    call::{Call, Side},
};
use switchhook_protocol::{call::PathKind, event::Event, peer::Path};
use switchhook_tests::{
    phone::{Net, Phone, open},
    waiting::in_time,
};

use crate::{Accepts, accepts, stage, symmetric};

/// Both ends of a call.
struct Ends {
    inviter: Call,
    callee: Call,
}

async fn start((alice, bob): (&Phone, &Phone), nets: (Net, Net), accepts: Accepts) -> Result<Ends> {
    let Accepts { inviter, callee, .. } = accepts;
    let inviter = Call::start(&alice.client, nets.0, inviter.0, Side::Inviter, inviter.1);
    let callee = Call::start(&bob.client, nets.1, callee.0, Side::Callee, callee.1);
    let (inviter, callee) = in_time("the path", async { tokio::join!(inviter, callee) }).await?;
    Ok(Ends { inviter: inviter?, callee: callee? })
}

/// Datagrams there and back, one by one.
async fn talk(ends: &mut Ends) -> Result<()> {
    for number in 0..20_u8 {
        let said = vec![number; 900];
        ends.inviter.send(&said)?;
        let heard = in_time("a datagram", ends.callee.recv()).await?.context("the call ended")?;
        assert_eq!(heard, said);
        ends.callee.send(&heard)?;
        assert_eq!(in_time("its echo", ends.inviter.recv()).await?.context("the call ended")?, said);
    }
    Ok(())
}

async fn close(ends: Ends) {
    ends.inviter.close().await;
    ends.callee.close().await;
}

#[tokio::test]
async fn inv_5_bytes_flow_peer_to_peer_after_a_direct_verdict() -> Result<()> {
    let (host, mut alice, mut bob) = stage().await?;
    let nets = (open(), open());
    let accepts = accepts((&mut alice, &mut bob), (&nets.0, &nets.1), |_| {}).await?;
    let mut ends = start((&alice, &bob), nets, accepts).await?;
    talk(&mut ends).await?;
    assert_eq!(ends.inviter.path(), Some(PathKind::Direct));
    assert_ne!(ends.inviter.peer_addr(), Some(host.addresses().relay));
    close(ends).await;
    Ok(())
}

#[tokio::test]
async fn rel_2_each_side_has_credentials_of_its_own_and_bytes_flow_through_the_relay() -> Result<()> {
    let (host, mut alice, mut bob) = stage().await?;
    let nets = (symmetric(), symmetric());
    let accepts = accepts((&mut alice, &mut bob), (&nets.0, &nets.1), |_| {}).await?;
    let (Path::Relay { relay: a }, Path::Relay { relay: b }) =
        (&accepts.inviter.1.path, &accepts.callee.1.path)
    else {
        anyhow::bail!("not the relay")
    };
    assert_ne!(a.username, b.username);
    assert_ne!(a.password, b.password);
    assert_eq!((a.server, b.server), (host.addresses().relay, host.addresses().relay));
    let mut ends = start((&alice, &bob), nets, accepts).await?;
    talk(&mut ends).await?;
    assert_eq!(ends.callee.path(), Some(PathKind::Relay));
    close(ends).await;
    Ok(())
}

#[tokio::test]
async fn nat_4_a_direct_attempt_that_fails_goes_on_through_the_relay_without_a_second_ring() -> Result<()> {
    let (_host, mut alice, mut bob) = stage().await?;
    let nets = (open(), open());
    let mut accepts = accepts((&mut alice, &mut bob), (&nets.0, &nets.1), |_| {}).await?;
    // The verdict said direct; what it named leads nowhere.
    for accepted in [&mut accepts.inviter.1, &mut accepts.callee.1] {
        let Path::Direct { candidates, patience_ms } = &mut accepted.path else {
            anyhow::bail!("not direct")
        };
        candidates.clear();
        *patience_ms = Some(300);
    }
    let mut ends = start((&alice, &bob), nets, accepts).await?;
    talk(&mut ends).await?;
    assert_eq!(ends.inviter.path(), Some(PathKind::Relay));
    let rings = |event: &ClientEvent| matches!(event, ClientEvent::Event(delivered) if matches!(delivered.event, Event::Invite(_)));
    assert_eq!(bob.heard().await?.iter().filter(|event| rings(event)).count(), 0, "nobody rings again");
    close(ends).await;
    Ok(())
}

#[tokio::test]
async fn nat_4_a_retried_accept_after_a_failed_direct_attempt_is_judged_relay() -> Result<()> {
    let (host, mut alice, mut bob) = stage().await?;
    let mine = alice.prepare(&open()).await?;
    let session = alice.client.invite(&alice.invite_of(&mine, &[crate::BOB])?).await?.session;
    let rung = bob.expect_invite().await?;
    let theirs = bob.prepare(&open()).await?;
    let mut accept = Phone::accept_of(&theirs, &rung);
    let first = in_time("the accept", bob.rings.accept(&rung, &accept)).await??;
    assert!(matches!(first.path, Path::Direct { .. }));
    assert!(!alice.expect_accept(&session).await?.retry);

    accept.ticket = first.ticket;
    accept.retry = true;
    let second = in_time("the retry", bob.client.accept(&accept)).await??;
    assert!(matches!(second.path, Path::Relay { .. }));
    let pushed = alice.expect_accept(&session).await?;
    assert!(pushed.retry && matches!(pushed.path, Path::Relay { .. }));
    assert_eq!(host.admin.verdict(&session).await?, "relay");
    Ok(())
}
