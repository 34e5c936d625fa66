//! Which tickets are made, and what they hold.

use alloc::vec;

use switchhook_protocol::{connection_data::ConnectionData, exchange::MAX_DATAGRAM, id::TenantId};

use super::*;
use crate::{
    invitation::testing::appended,
    seal::{RootKeys, Scope},
    testing::TestRng,
    ticket::{Judged, testing::ticket},
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const CDX: &str = "192.0.2.9:3479";
const OTHER_PORT: &str = "192.0.2.9:3480";

fn keys() -> KeyRing {
    RootKeys::new([1; 32], []).ring(Scope::Cdx)
}

fn tenant_keys() -> KeyRing {
    let tenant: TenantId = "acme".parse().unwrap();
    RootKeys::new([1; 32], []).ring(Scope::Tenant(&tenant))
}

/// A device that CDX has seen: where, and by which of its addresses.
fn network(seen: &[(&str, &str)], at: Timestamp) -> NetworkFacts {
    let seal = |(observed, cdx): &(&str, &str)| {
        let observation = Observation { observed: observed.parse().unwrap(), cdx: cdx.parse().unwrap(), at };
        observation.seal(&keys(), &mut TestRng(1))
    };
    let data = ConnectionData { observed: seen.iter().map(seal).collect(), ..ConnectionData::default() };
    NetworkFacts::read(&data, &keys(), at).unwrap()
}

fn cone(at: &str) -> NetworkFacts {
    network(&[(at, CDX), (at, OTHER_PORT)], NOW)
}

fn session_ticket(role: Role, direct: bool) -> SessionTicket {
    ticket(role, Some(Judged { direct, ..Judged::default() }))
}

fn made(inviter: &NetworkFacts, invited: &NetworkFacts) -> Option<[Exchange; 2]> {
    let session = "s1".parse().unwrap();
    let (alice, bob) = ("alice".parse().unwrap(), "bob".parse().unwrap());
    between((&session, 1), [(&alice, inviter), (&bob, invited)], (&keys(), NOW), &mut TestRng(2))
}

fn opened(exchange: &Exchange) -> ExchangeTicket {
    ExchangeTicket::open_text(&keys(), &exchange.ticket).unwrap()
}

fn addrs(ticket: &ExchangeTicket) -> Vec<String> {
    ticket.participants.iter().map(|one| alloc::format!("{}", one.addr)).collect()
}

#[test]
fn nat_2_each_side_gets_a_ticket_of_its_own_with_both_addresses_as_cdx_saw_them() {
    let [for_inviter, for_invited] = made(&cone("198.51.100.1:1000"), &cone("198.51.100.2:2000")).unwrap();
    let (first, second) = (opened(&for_inviter), opened(&for_invited));
    assert_eq!((first.place, second.place), (0, 1));
    assert_eq!(addrs(&first), ["198.51.100.1:1000", "198.51.100.2:2000"]);
    assert_eq!(addrs(&second), addrs(&first));
    assert_eq!(first.expires_at, NOW.after(TICKET_LIFE));
    assert_eq!(
        (for_inviter.cdx, for_invited.own),
        (CDX.parse().unwrap(), "198.51.100.2:2000".parse().unwrap())
    );
    assert_eq!(
        bytes_of(&for_inviter.ticket).map(|bytes| ExchangeTicket::open(&keys(), &bytes)),
        Some(Ok(first))
    );
}

#[test]
fn nat_2_behind_a_symmetric_nat_the_address_is_the_one_that_this_port_of_cdx_saw() {
    let symmetric = network(&[("198.51.100.1:1000", CDX), ("198.51.100.1:1001", OTHER_PORT)], NOW);
    let [ticket, _] = made(&symmetric, &cone("198.51.100.2:2000")).unwrap();
    assert_eq!((ticket.cdx, ticket.own), (CDX.parse().unwrap(), "198.51.100.1:1000".parse().unwrap()));
}

#[test]
fn nat_2_a_mapping_that_is_the_same_for_everybody_serves_another_cdx_and_no_other_does() {
    let elsewhere = [("198.51.100.2:2000", "203.0.113.9:3479"), ("198.51.100.2:2000", "203.0.113.9:3480")];
    let [ticket, _] = made(&cone("198.51.100.1:1000"), &network(&elsewhere, NOW)).unwrap();
    assert_eq!(addrs(&opened(&ticket)), ["198.51.100.1:1000", "198.51.100.2:2000"]);

    let symmetric = [("198.51.100.1:1", "203.0.113.9:3479"), ("198.51.100.1:2", "203.0.113.9:3480")];
    let symmetric = network(&symmetric, NOW);
    assert!(made(&symmetric, &cone("198.51.100.2:2000")).is_some(), "by the CDX that the hard side asked");
    let mine = network(&[("198.51.100.3:1", CDX), ("198.51.100.3:2", OTHER_PORT)], NOW);
    assert_eq!(made(&mine, &symmetric), None);
    let over_ipv6 = [("[2001:db8::7]:1", "[2001:db8::9]:1"), ("[2001:db8::7]:1", "[2001:db8::9]:2")];
    assert_eq!(made(&cone("198.51.100.1:1000"), &network(&over_ipv6, NOW)), None, "another family");
    assert_eq!(made(&cone("198.51.100.1:1000"), &network(&[], NOW)), None);
}

#[test]
fn nat_2_the_largest_ticket_leaves_half_of_a_datagram_to_the_payload() {
    let addr = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
    let whereabouts = Whereabouts { device: "x".repeat(64).parse().unwrap(), addr, at: NOW };
    let ticket = ExchangeTicket {
        session: "x".repeat(64).parse().unwrap(),
        generation: u32::MAX,
        place: 3,
        participants: vec![whereabouts; MAX_PARTICIPANTS],
        cdx: addr,
        expires_at: Timestamp::from_millis(u64::MAX),
    };
    let bytes = bytes_of(&ticket.seal(&keys(), &mut TestRng(1))).unwrap();
    assert!(bytes.len() <= MAX_DATAGRAM / 2, "{} bytes", bytes.len());
}

fn moves(
    ticket: &SessionTicket,
    last: Option<&ExchangeTicket>,
    network: &NetworkFacts,
    now: Timestamp,
) -> Result<Moved, ErrorCode> {
    let (keys, cdx) = (tenant_keys(), keys());
    moved(Moving { keys: &keys, cdx: &cdx, ticket, last, network, now }, &mut TestRng(5))
}

#[test]
fn nat_5_who_is_elsewhere_gets_a_new_ticket_and_the_other_side_learns_where_it_is() {
    let [_, for_invited] = made(&cone("198.51.100.1:1000"), &cone("198.51.100.2:2000")).unwrap();
    let ticket = session_ticket(Role::Invited { user: 0 }, true);
    let elsewhere = cone("203.0.113.5:9");

    let moved = moves(&ticket, Some(&opened(&for_invited)), &elsewhere, NOW).unwrap();

    let own = opened(&moved.exchange.unwrap());
    assert_eq!((own.place, addrs(&own)), (1, vec!["198.51.100.1:1000".into(), "203.0.113.5:9".into()]));
    let told = appended(&moved.writes);
    let [(to, Event::ConnectionData(told))] = &told[..] else { panic!("one message: {told:?}") };
    assert_eq!((to.as_str(), &told.candidates), ("alice", &elsewhere.candidates()));
    let theirs = opened(told.exchange.as_ref().unwrap());
    assert_eq!((theirs.place, addrs(&theirs)), (0, addrs(&own)));
}

#[test]
fn nat_5_a_ticket_of_another_session_place_or_peer_is_refused() {
    let [for_inviter, _] = made(&cone("198.51.100.1:1000"), &cone("198.51.100.2:2000")).unwrap();
    let (mine, inviter) = (opened(&for_inviter), session_ticket(Role::Inviter, true));
    let at = cone("203.0.113.5:9");
    let refused = |ticket: &SessionTicket, last: ExchangeTicket| moves(ticket, Some(&last), &at, NOW).err();
    assert_eq!(refused(&inviter, mine.clone()), None);
    let invited = session_ticket(Role::Invited { user: 0 }, true);
    assert_eq!(refused(&invited, mine.clone()), Some(ErrorCode::BadTicket));
    let other = ExchangeTicket { session: "s2".parse().unwrap(), ..mine.clone() };
    assert_eq!(refused(&inviter, other), Some(ErrorCode::BadTicket));
    let mut other = mine;
    other.participants[1].device = "carol".parse().unwrap();
    assert_eq!(refused(&inviter, other.clone()), Some(ErrorCode::BadTicket), "made for another peer");
    other.participants.truncate(1);
    assert_eq!(refused(&inviter, other), Some(ErrorCode::BadTicket));
}

#[test]
fn nat_5_after_a_verdict_for_the_relay_nobody_learns_an_address() {
    let ticket = session_ticket(Role::Inviter, false);
    assert_eq!(moves(&ticket, None, &cone("203.0.113.5:9"), NOW), Err(ErrorCode::Forbidden));
    let never_accepted = SessionTicket { judged: None, ..ticket };
    assert_eq!(moves(&never_accepted, None, &cone("203.0.113.5:9"), NOW), Err(ErrorCode::Forbidden));
}

#[test]
fn nat_3_until_the_callee_accepts_it_may_say_where_it_is_and_so_may_the_inviter() {
    for role in [Role::Inviter, Role::Invited { user: 0 }] {
        let mut ticket = session_ticket(role, false);
        assert_eq!(moves(&ticket, None, &cone("203.0.113.77:1"), NOW), Err(ErrorCode::Forbidden));
        ticket.judged = Some(Judged { until_accepted: true, ..Judged::default() });
        let moved = moves(&ticket, None, &cone("203.0.113.77:1"), NOW).unwrap();
        let sent = appended(&moved.writes);
        let Some((_, Event::ConnectionData(told))) = sent.last() else { panic!("the other side is told") };
        assert_eq!(told.candidates.len(), 1);
    }
}

#[test]
fn nat_5_an_address_that_was_seen_long_ago_is_in_no_new_ticket() {
    let [for_inviter, _] = made(&cone("198.51.100.1:1000"), &cone("198.51.100.2:2000")).unwrap();
    let last = opened(&for_inviter);
    let ticket = session_ticket(Role::Inviter, true);
    let later = |by| {
        let now = NOW.after(by);
        let network = network(&[("203.0.113.5:9", CDX), ("203.0.113.5:9", OTHER_PORT)], now);
        moves(&ticket, Some(&last), &network, now).unwrap()
    };
    assert!(later(OBSERVATION_LIFE).exchange.is_some());
    let moved = later(OBSERVATION_LIFE + Duration::from_millis(1));
    assert_eq!((moved.exchange, moved.writes.len()), (None, 1), "told all the same");
}
