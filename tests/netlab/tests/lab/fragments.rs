//! A path behind the relay that is too narrow for what it relays (RFC 8656 §11.6, §15).

use std::{net::UdpSocket, time::Duration};

use anyhow::{Context as _, Result, ensure};
use switchhook_core::stun::{self, Message};
use switchhook_netlab::{Host, Lab, Nat};

use crate::{
    relay::Running,
    turn::{DATA, DATA_INDICATION, ICMP, PEER, Turn},
};

/// The narrow cable's.
const MTU: u16 = 1_000;

/// More than fits, less than any other cable carries.
const LARGE: [u8; 1_200] = [7; 1_200];

/// Only a broken lab is waited for this long.
const GUARD: Duration = Duration::from_secs(30);

/// REL-3.udp
#[test]
fn rel_3_what_must_not_be_cut_is_told_to_be_too_large_and_what_may_arrives_in_pieces() -> Result<()> {
    let test = "rel_3_what_must_not_be_cut_is_told_to_be_too_large_and_what_may_arrives_in_pieces";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    let (site, narrow) = (lab.site(Nat::None)?, lab.site(Nat::None)?);
    lab.narrow(&narrow, MTU)?;
    let running = Running::start(&lab, 3478, None)?;
    let peer = bind(narrow.host())?;
    let mut client = Turn::allocated(bind(site.host())?, running.addr, running.credentials()?)?;
    client.permit(peer.local_addr()?)?;

    // The second one does not even leave the relay, whose system remembers.
    for time in ["first", "second"] {
        client.send(peer.local_addr()?, &LARGE, true)?;
        let told = client.heard()?;
        let told = Message::parse(&told)?;
        ensure!(told.message_type() == DATA_INDICATION && told.attribute(DATA).is_none(), "{time}: {told:?}");
        let about = told.attribute(PEER).and_then(|peer| stun::read_address(peer, &told.transaction()));
        ensure!(about == Some(peer.local_addr()?), "{time}: about {about:?}");
        // Destination unreachable: fragmentation needed, and the next hop's MTU.
        let [high, low] = MTU.to_be_bytes();
        let icmp = told.attribute(ICMP);
        ensure!(icmp == Some(&[0, 0, 3 << 1, 4, 0, 0, high, low][..]), "{time}: {icmp:?}");
    }

    client.send(peer.local_addr()?, &LARGE, false)?;
    client.send(peer.local_addr()?, b"small", true)?;
    let mut buffer = [0; 1_500];
    let (length, _) = peer.recv_from(&mut buffer).context("what may be cut does not arrive")?;
    ensure!(buffer.get(..length) == Some(&LARGE[..]), "{length} bytes");
    let (length, relayed) = peer.recv_from(&mut buffer).context("what fits does not arrive")?;
    ensure!(buffer.get(..length) == Some(&b"small"[..]), "{length} bytes");

    // Each was told once: what the client hears next is this.
    peer.send_to(b"answer", relayed)?;
    let answer = client.heard()?;
    let answer = Message::parse(&answer)?;
    ensure!(answer.attribute(DATA) == Some(b"answer"), "{answer:?}");
    Ok(())
}

fn bind(host: &Host) -> Result<UdpSocket> {
    let socket = host.bind(0)?;
    socket.set_read_timeout(Some(GUARD))?;
    Ok(socket)
}
