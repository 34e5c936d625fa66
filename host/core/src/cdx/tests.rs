//! What CDX answers, byte by byte.

use alloc::{string::ToString as _, vec};

use switchhook_protocol::cdx::REQUEST_PADDING;

use super::*;
use crate::{
    seal::{RootKeys, Scope},
    testing::TestRng,
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const TRANSACTION: [u8; 12] = [7; 12];

fn keys() -> KeyRing {
    RootKeys::new([1; 32], []).ring(Scope::Cdx)
}

const ONE_ADDRESS: Others = Others { port: 3480, ip: None };

fn route(from: &str) -> Route {
    Route { from: from.parse().unwrap(), to: "192.0.2.9:3479".parse().unwrap(), others: ONE_ADDRESS }
}

/// As by a server with two addresses, of the client's family.
fn route_with_two(from: &str) -> Route {
    let route = route(from);
    let (to, other) = if route.from.is_ipv4() {
        ("192.0.2.9:3479", "192.0.2.10")
    } else {
        ("[2001:db8::9]:3479", "2001:db8::10")
    };
    Route {
        to: to.parse().unwrap(),
        others: Others { port: 3480, ip: Some(other.parse().unwrap()) },
        ..route
    }
}

fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, message_type::BINDING_REQUEST, TRANSACTION);
    for (kind, value) in attributes {
        writer.attribute(*kind, value);
    }
    out
}

fn ask(datagram: &[u8], from: &str) -> Result<(Answer, Vec<u8>), Dropped> {
    let (reply, out) = ask_at(datagram, route(from))?;
    assert_eq!((reply.origin, reply.to), (Origin::default(), route(from).from));
    Ok((reply.answer, out))
}

fn ask_at(datagram: &[u8], route: Route) -> Result<(Reply, Vec<u8>), Dropped> {
    let mut out = vec![9; 3];
    answer(datagram, route, &keys(), NOW, &mut TestRng(1), &mut out).map(|reply| (reply, out))
}

fn change(flags: u32) -> Vec<u8> {
    request(&[(attribute::CHANGE_REQUEST, &flags.to_be_bytes())])
}

fn addresses(answer: &[u8]) -> Vec<(u16, [u8; 8])> {
    let read = Message::parse(answer).unwrap();
    let rfc_5780 = [attribute::RESPONSE_ORIGIN, attribute::OTHER_ADDRESS];
    let found = read.attributes().filter(|(kind, _)| rfc_5780.contains(kind));
    found.map(|(kind, value)| (kind, value.try_into().unwrap())).collect()
}

#[test]
fn nat_1_a_standard_client_learns_its_external_address() {
    for from in ["198.51.100.7:4000", "[2001:db8::7]:4000"] {
        let (answer, out) = ask(&request(&[]), from).unwrap();
        let read = Message::parse(&out).unwrap();
        assert_eq!(answer, Answer::Binding);
        assert_eq!(read.message_type(), message_type::BINDING_SUCCESS);
        assert_eq!(read.transaction(), TRANSACTION);
        assert_eq!(read.xor_mapped_address(), Some(from.parse().unwrap()));
        assert_eq!(read.attributes().count(), 1);
    }
}

#[test]
fn a_fingerprint_is_answered_with_a_fingerprint() {
    let mut datagram = Vec::new();
    Writer::new(&mut datagram, message_type::BINDING_REQUEST, TRANSACTION).fingerprint();
    let (_, out) = ask(&datagram, "198.51.100.7:4000").unwrap();
    assert!(Message::parse(&out).unwrap().attribute(attribute::FINGERPRINT).is_some());
}

#[test]
fn hyb_1_who_asks_before_any_login_gets_what_was_seen_sealed() {
    for from in ["198.51.100.7:4000", "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535"] {
        let datagram = request(&[(OBSERVATION_REQUEST, &[0; REQUEST_PADDING])]);
        let (answer, out) = ask(&datagram, from).unwrap();
        assert_eq!(answer, Answer::Observation);
        assert!(out.len() <= datagram.len());
        let sealed = Message::parse(&out).unwrap().attribute(OBSERVATION).unwrap();
        let opened = Observation::open(&keys(), core::str::from_utf8(sealed).unwrap(), NOW).unwrap();
        assert_eq!(opened, Observation { observed: route(from).from, cdx: route(from).to, at: NOW });
    }
}

#[test]
fn a_request_smaller_than_the_answer_gets_no_observation() {
    let mut smallest = None;
    for padding in 0..REQUEST_PADDING {
        let datagram = request(&[(OBSERVATION_REQUEST, &vec![0; padding])]);
        let (answer, out) = ask(&datagram, "198.51.100.7:4000").unwrap();
        match answer {
            Answer::Observation => {
                assert!(out.len() <= datagram.len());
                smallest.get_or_insert(padding);
            }
            Answer::Binding => assert_eq!((out.len(), smallest), (32, None)),
            Answer::UnknownAttribute => panic!("every attribute is known"),
        }
    }
    assert!(smallest.is_some());
}

#[test]
fn what_must_be_understood_and_is_not_is_named() {
    // PADDING (RFC 5780) and PRIORITY (RFC 8445).
    let datagram = request(&[(0x0026, &[0; 4]), (0x8022, b"client"), (0x0024, &[0; 4])]);
    let (answer, out) = ask(&datagram, "198.51.100.7:4000").unwrap();
    let read = Message::parse(&out).unwrap();
    assert_eq!(answer, Answer::UnknownAttribute);
    assert_eq!(read.message_type(), message_type::BINDING_ERROR);
    assert_eq!(read.attribute(attribute::ERROR_CODE), Some(&[0, 0, 4, 20][..]));
    assert_eq!(read.attribute(attribute::UNKNOWN_ATTRIBUTES), Some(&[0, 0x26, 0, 0x24][..]));
}

/// NAT-1.filtering
#[test]
fn with_two_addresses_the_answer_comes_from_where_it_is_wanted_and_says_so() {
    let origins = [(0, false, false), (0b010, false, true), (0b100, true, false), (0b110, true, true)];
    for (flags, other_ip, other_port) in origins {
        let (reply, out) = ask_at(&change(flags), route_with_two("198.51.100.7:4000")).unwrap();
        let origin = Origin { other_ip, other_port };
        let to = "198.51.100.7:4000".parse().unwrap();
        assert_eq!(reply, Reply { answer: Answer::Binding, origin, to });
        let (ip, port) = (if other_ip { 10 } else { 9 }, if other_port { 0x98 } else { 0x97 });
        assert_eq!(
            addresses(&out),
            [
                (attribute::RESPONSE_ORIGIN, [0, 1, 0x0D, port, 192, 0, 2, ip]),
                (attribute::OTHER_ADDRESS, [0, 1, 0x0D, 0x98, 192, 0, 2, 10]),
            ]
        );
    }
}

/// NAT-1.filtering
#[test]
fn with_one_address_the_port_changes_and_the_address_is_refused() {
    let (reply, out) = ask_at(&change(0b010), route("198.51.100.7:4000")).unwrap();
    assert_eq!(reply.origin, Origin { other_ip: false, other_port: true });
    assert_eq!(addresses(&out), [(attribute::RESPONSE_ORIGIN, [0, 1, 0x0D, 0x98, 192, 0, 2, 9])]);

    for flags in [0b100, 0b110] {
        let (answer, out) = ask(&change(flags), "198.51.100.7:4000").unwrap();
        assert_eq!(answer, Answer::UnknownAttribute);
        let unknown = Message::parse(&out).unwrap().attribute(attribute::UNKNOWN_ATTRIBUTES);
        assert_eq!(unknown, Some(&attribute::CHANGE_REQUEST.to_be_bytes()[..]));
    }
}

/// NAT-5
#[test]
fn an_answer_is_to_be_had_at_another_port_of_the_own_address_and_is_the_address_alone() {
    for from in ["198.51.100.7:4000", "[2001:db8::7]:4000"] {
        let mut wanted = request(&[(attribute::RESPONSE_PORT, &[0x9C, 0x40, 0, 0])]);
        let from: SocketAddr = from.parse().unwrap();
        let (reply, out) = ask_at(&wanted, route_with_two(&from.to_string())).unwrap();
        assert_eq!((reply.answer, reply.to), (Answer::Binding, SocketAddr::new(from.ip(), 40_000)));
        let read = Message::parse(&out).unwrap();
        assert_eq!((read.xor_mapped_address(), read.attributes().count()), (Some(from), 1));
        // What the plainest request gets from any STUN server is more.
        assert!(out.len() <= wanted.len() + 16, "{} for {}", out.len(), wanted.len());
        assert_eq!(ask_at(&out, route(&from.to_string())).map(drop), Err(Dropped::NotARequest));

        wanted = request(&[
            (attribute::RESPONSE_PORT, &[0x9C, 0x40, 0, 0]),
            (OBSERVATION_REQUEST, &[0; REQUEST_PADDING]),
        ]);
        let (reply, out) = ask_at(&wanted, route(&from.to_string())).unwrap();
        assert_eq!(reply.answer, Answer::Binding, "an observation is for who asked for it");
        assert_eq!(Message::parse(&out).unwrap().attributes().count(), 1);
    }
}

/// NAT-5
#[test]
fn what_is_no_port_is_refused_where_it_came_from() {
    let values: [&[u8]; 5] = [&[0, 0, 0, 0], &[0, 0], &[0x9C, 0x40, 0], &[], &[0x9C; 8]];
    for value in values {
        let datagram =
            request(&[(attribute::RESPONSE_PORT, value), (attribute::CHANGE_REQUEST, &[0, 0, 0, 4])]);
        let (answer, out) = ask(&datagram, "198.51.100.7:4000").unwrap();
        assert_eq!(answer, Answer::UnknownAttribute);
        let unknown = Message::parse(&out).unwrap().attribute(attribute::UNKNOWN_ATTRIBUTES);
        assert_eq!(unknown, Some(&[0, 0x27, 0, 0x03][..]), "{value:?}");
    }
}

#[test]
fn no_answer_is_larger_than_its_request_by_more_than_four_addresses() {
    for from in ["198.51.100.7:4000", "[2001:db8::7]:4000"] {
        let unknown = request(&[(0x0026, &[])]);
        for datagram in [request(&[]), change(0), change(0b110), unknown] {
            for route in [route(from), route_with_two(from)] {
                let (_, out) = ask_at(&datagram, route).unwrap();
                assert!(
                    out.len() <= datagram.len() + STANDARD_EXCESS,
                    "{} for {}",
                    out.len(),
                    datagram.len()
                );
            }
        }
    }
}

#[test]
fn in_a_stream_only_standard_stun_is_answered() {
    let ask = |message: &[u8]| {
        let mut out = vec![9; 3];
        answer_in_stream(message, "198.51.100.7:4000".parse().unwrap(), &mut out).map(|answer| (answer, out))
    };
    let (answer, out) = ask(&request(&[(OBSERVATION_REQUEST, &[0; REQUEST_PADDING])])).unwrap();
    let read = Message::parse(&out).unwrap();
    assert_eq!((answer, read.attributes().count()), (Answer::Binding, 1));
    assert_eq!(read.xor_mapped_address(), Some("198.51.100.7:4000".parse().unwrap()));
    for discovers in [change(0), request(&[(attribute::RESPONSE_PORT, &[0x9C, 0x40, 0, 0])])] {
        assert_eq!(ask(&discovers).map(|(answer, _)| answer), Ok(Answer::UnknownAttribute));
    }
    assert_eq!(ask(&out), Err(Dropped::NotARequest));
}

#[test]
fn what_is_no_binding_request_is_dropped() {
    assert_eq!(ask(b"hello", "198.51.100.7:1"), Err(Dropped::NotStun));
    let mut allocate = request(&[]);
    allocate[1] = 3;
    assert_eq!(ask(&allocate, "198.51.100.7:1"), Err(Dropped::NotARequest));
    let mut malformed = request(&[(0x8022, b"name")]);
    malformed[23] = 200;
    assert_eq!(ask(&malformed, "198.51.100.7:1"), Err(Dropped::Malformed));
}

#[test]
fn an_answer_is_never_answered() {
    let (_, binding) = ask(&request(&[]), "198.51.100.7:1").unwrap();
    let (_, refusal) = ask(&change(0b100), "198.51.100.7:1").unwrap();
    assert_eq!(ask(&binding, "198.51.100.7:1"), Err(Dropped::NotARequest));
    assert_eq!(ask(&refusal, "198.51.100.7:1"), Err(Dropped::NotARequest));
}
