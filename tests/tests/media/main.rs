//! How two devices reach each other: what CDX saw decides, bytes flow directly or through the relay.

mod call;
mod verdict;

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::Result;
use switchhook_client::{call::Prepared, network::nat::SymmetricNat};
use switchhook_protocol::{id::SessionId, invitation::Accepted};
use switchhook_tests::{
    host::Host,
    phone::{Net, Phone},
    waiting::in_time,
};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// A gateway of its own: one socket for each destination, and no address of the device's own.
fn symmetric() -> Net {
    Arc::new(SymmetricNat::new(Ipv4Addr::LOCALHOST.into()))
}

/// A server whose relay may reach loopback, and two phones that know each other.
async fn stage() -> Result<(Host, Phone, Phone)> {
    let host = Host::with(|settings| settings.relay.allow_loopback = true).await?;
    let (alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    Ok((host, alice, bob))
}

/// What both sides have after an accept.
struct Accepts {
    session: SessionId,
    inviter: (Prepared, Accepted),
    callee: (Prepared, Accepted),
}

/// Alice invites Bob, and Bob accepts; `alter` changes what they claim.
async fn accepts(
    (alice, bob): (&mut Phone, &mut Phone),
    (alices, bobs): (&Net, &Net),
    alter: impl Fn(&mut switchhook_protocol::connection_data::ConnectionData),
) -> Result<Accepts> {
    let mine = alice.prepare(alices).await?;
    let mut invite = alice.invite_of(&mine, &[BOB])?;
    alter(&mut invite.connection_data);
    let session = in_time("the invite", alice.client.invite(&invite)).await??.session;
    let rung = bob.expect_invite().await?;
    let theirs = bob.prepare(bobs).await?;
    let mut accept = Phone::accept_of(&theirs, &rung);
    alter(&mut accept.connection_data);
    let answer = in_time("the accept", bob.rings.accept(&rung, &accept)).await??;
    let pushed = alice.expect_accept(&session).await?;
    Ok(Accepts { session, inviter: (mine, pushed), callee: (theirs, answer) })
}
