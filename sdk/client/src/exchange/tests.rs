//! Two sides and a CDX between them that hands on, loses and repeats.

use core::time::Duration;

use switchhook_protocol::exchange::ToCdx;

use super::*;
use crate::secure::{MediaKey, SessionSecret};

const CDX: &str = "192.0.2.9:3479";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn secrets(key: &str) -> Secrets {
    Secrets {
        session: "s1".parse().unwrap(),
        mine: SessionSecret::generate().unwrap(),
        theirs: vec![0; 32],
        media_key: MediaKey::read(key).unwrap(),
    }
}

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const OTHER_KEY: &str = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn exchange() -> Exchange {
    let ticket = BASE64URL_NOPAD.encode(b"ticket");
    Exchange { cdx: addr(CDX), ticket, own: addr("198.51.100.1:1"), expires_in_ms: 120_000 }
}

fn side(side: Side, key: &str, candidates: &[&str], now: Instant) -> Exchanging {
    let candidates: Vec<SocketAddr> = candidates.iter().map(|text| addr(text)).collect();
    Exchanging::new(&exchange(), (&secrets(key), side), &candidates, now).unwrap()
}

fn start() -> (Exchanging, Exchanging, Instant) {
    let now = tokio::time::Instant::now().into_std();
    let inviter = side(Side::Inviter, KEY, &["198.51.100.1:1", "10.0.0.1:1"], now);
    (inviter, side(Side::Callee, KEY, &["198.51.100.2:2"], now), now)
}

/// As CDX does it.
fn handed(datagram: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    FromCdx { sender: 0, payload: ToCdx::read(datagram).unwrap().payload }.write(&mut out);
    out
}

/// Hands on what is waiting; what the receiver learns.
fn pass(from: &mut Exchanging, to: &mut Exchanging) -> Vec<SocketAddr> {
    let mut learned = Vec::new();
    while let Some((cdx, datagram)) = from.poll_transmit() {
        learned.extend(to.handle_datagram(cdx, &handed(&datagram)).expect("it is authentic"));
    }
    learned
}

#[test]
fn nat_2_each_side_learns_the_others_addresses_and_both_fall_silent() {
    let (mut inviter, mut callee, _) = start();
    assert_eq!(pass(&mut inviter, &mut callee), [addr("198.51.100.1:1"), addr("10.0.0.1:1")]);
    assert_eq!(pass(&mut callee, &mut inviter), [addr("198.51.100.2:2")]);
    while pass(&mut inviter, &mut callee).len() + pass(&mut callee, &mut inviter).len() > 0 {}
    assert_eq!((inviter.poll_timeout(), callee.poll_timeout()), (None, None));
    assert!(inviter.poll_transmit().is_none() && callee.poll_transmit().is_none());
}

#[test]
fn nat_2_what_is_lost_is_told_again_with_doubling_pauses_and_a_bound() {
    let (mut inviter, _, begun) = start();
    let mut told = 0;
    while let Some(at) = inviter.poll_timeout() {
        told += core::iter::from_fn(|| inviter.poll_transmit()).count();
        inviter.handle_timeout(at);
        assert!(at - begun <= Duration::from_millis(6_200), "{:?}", at - begun);
    }
    assert_eq!(told, 5);
}

#[test]
fn nat_5_something_new_is_told_and_heard_once() {
    let (mut inviter, mut callee, now) = start();
    pass(&mut inviter, &mut callee);
    inviter.tell(&[addr("203.0.113.5:9")], now);
    let (cdx, datagram) = inviter.poll_transmit().unwrap();
    let datagram = handed(&datagram);
    assert_eq!(callee.handle_datagram(cdx, &datagram), Some(vec![addr("203.0.113.5:9")]));
    assert_eq!(callee.handle_datagram(cdx, &datagram), Some(vec![]), "a replay teaches nothing");
}

#[test]
fn nat_2_what_is_not_authentic_or_not_from_cdx_was_not_said() {
    let (mut inviter, mut callee, now) = start();
    let (cdx, datagram) = inviter.poll_transmit().unwrap();
    let datagram = handed(&datagram);
    assert_eq!(callee.handle_datagram(addr("192.0.2.9:3480"), &datagram), None);
    assert_eq!(inviter.handle_datagram(cdx, &datagram), None, "thrown back");
    let mut other = side(Side::Callee, OTHER_KEY, &[], now);
    assert_eq!(other.handle_datagram(cdx, &datagram), None, "another key");
    for at in 2..datagram.len() {
        let mut changed = datagram.clone();
        changed[at] ^= 1;
        assert_eq!(callee.handle_datagram(cdx, &changed), None, "byte {at}");
        assert_eq!(callee.handle_datagram(cdx, &datagram[..at]), None, "cut at {at}");
    }
    assert!(callee.handle_datagram(cdx, &datagram).is_some());
}
