use core::time::Duration;

use rand::SeedableRng as _;
use stun_types::{
    attribute::{AttributeStaticType as _, AttributeType, ErrorCode, Nonce, Realm, XorMappedAddress},
    message::{
        IntegrityAlgorithm, LongTermKeyCredentials, MessageWrite as _, MessageWriteExt as _, MessageWriteVec,
        Method,
    },
};

use super::{
    super::wire::{add, add_address},
    *,
};
use crate::{limits, stun::begin_of};

const RELAYED: &str = "192.0.2.10:49170";
const CLIENT: &str = "198.51.100.9:50001";
const PEER: &str = "192.0.2.20:49200";
const LIFE: Duration = Duration::from_mins(10);

#[test]
fn rel_3_an_address_is_asked_for_with_its_family_and_a_ticket_and_again_with_credentials() {
    let mut client = Client::asking(Some(AddressFamily::Ipv6));
    let first = client.sent();
    assert_eq!(first.value(wire::REQUESTED_TRANSPORT), Some(wire::UDP.to_vec()));
    assert_eq!(first.value(wire::REQUESTED_ADDRESS_FAMILY), Some(wire::IPV6.to_vec()));
    assert_eq!(first.value(wire::MOBILITY_TICKET), Some(Vec::new()));
    assert!(!first.is_signed());
    client.is_told(&first.refusal(401, "nonce"));
    let second = client.sent();
    assert!(second.is_signed());
    assert_eq!(second.value(wire::REQUESTED_ADDRESS_FAMILY), Some(wire::IPV6.to_vec()));
    client.is_told(&second.allocated(LIFE, Some(b"ticket")));
    let (relayed, observed) = (addr(RELAYED), Some(addr(CLIENT)));
    assert_eq!(client.events(), [Event::Allocated { relayed, observed }]);
}

#[test]
fn rel_3_what_is_refused_is_told_with_its_code_and_without_tickets_it_goes_on() {
    let mut client = Client::asking(None);
    let first = client.sent();
    assert_eq!(first.value(wire::REQUESTED_ADDRESS_FAMILY), None);
    client.is_told(&first.refusal(401, "nonce"));
    let asked = client.sent();
    client.is_told(&asked.refusal(405, "nonce"));
    let without = client.sent();
    assert_eq!(without.value(wire::MOBILITY_TICKET), None);
    client.is_told(&without.refusal(486, "nonce"));
    assert_eq!(client.events(), [Event::Over(Why::Refused(486))]);

    let mut stranger = Client::asking(None);
    let asked = stranger.sent();
    stranger.is_told(&asked.refusal(401, "nonce"));
    let asked = stranger.sent();
    stranger.is_told(&asked.refusal(401, "nonce"));
    assert_eq!(stranger.events(), [Event::Over(Why::Refused(401))], "the password is wrong");
}

#[test]
fn rel_3_an_answer_that_the_relay_has_not_signed_counts_for_nothing() {
    let mut client = Client::asking(None);
    let asked = client.sent();
    client.is_told(&asked.refusal(401, "nonce"));
    let asked = client.sent();
    client.is_told(&asked.unsigned());
    assert_eq!(client.events(), []);
    client.is_told(&asked.allocated(LIFE, None));
    assert_eq!(client.events().len(), 1);
}

#[test]
fn rel_4_the_first_datagrams_to_a_peer_wait_for_its_channel_and_leave_in_their_order() {
    let mut client = Client::holding(LIFE);
    assert_eq!(client.send(b"one"), Sending::First);
    assert_eq!(client.send(b"two"), Sending::Later);
    let asked = client.sent();
    assert_eq!(
        (asked.method, asked.value(wire::CHANNEL_NUMBER)),
        (wire::CHANNEL_BIND, Some(vec![0x40, 0, 0, 0]))
    );
    assert_eq!(asked.peer(), Some(addr(PEER)));
    assert_eq!(client.poll(), None, "nothing leaves before");
    client.is_told(&asked.done());
    assert_eq!(client.poll().as_deref(), Some(&b"\x40\0\0\x03one"[..]));
    assert_eq!(client.poll().as_deref(), Some(&b"\x40\0\0\x03two"[..]));
    assert_eq!(client.send(b"three"), Sending::Now);
    assert_eq!(client.out, b"\x40\0\0\x05three");
    let heard = client.turn.handle_message(b"\x40\0\0\x02hi\0\0", client.now);
    assert_eq!(heard, Some((addr(PEER), 4..6)));
    assert_eq!(client.turn.handle_message(b"\x40\x01\0\x02hi", client.now), None, "nobody's channel");
}

#[test]
fn rel_4_what_waits_for_a_channel_is_bounded_and_lost_when_the_relay_refuses_the_peer() {
    let mut client = Client::holding(LIFE);
    for _ in 0..limits::DATAGRAMS {
        assert_ne!(client.send(b"one"), Sending::Lost);
    }
    assert_eq!(client.send(b"one"), Sending::Lost);
    let asked = client.sent();
    client.is_told(&asked.refusal(403, "nonce"));
    assert!(!client.turn.has_waiting());
    assert_eq!(client.send(b"two"), Sending::Lost);
    assert_eq!(client.poll(), None);
    client.now += limits::TURN_AGAIN;
    assert_eq!(client.send(b"three"), Sending::First, "it may be let in by now");
}

#[test]
fn rel_4_a_channel_is_asked_for_again_as_long_as_its_peer_is_spoken_to() {
    let mut client = Client::holding(Duration::from_hours(1));
    client.send(b"one");
    let asked = client.sent();
    client.is_told(&asked.done());
    client.poll();
    client.now += limits::TURN_CHANNEL / 2;
    assert_eq!(client.send(b"two"), Sending::Now);
    client.passes(limits::TURN_CHANNEL / 2);
    let again = client.sent();
    assert_eq!((again.method, again.peer()), (wire::CHANNEL_BIND, Some(addr(PEER))));
    assert_eq!(client.send(b"three"), Sending::Now, "it carries meanwhile");
    client.is_told(&again.done());
    client.passes(limits::TURN_CHANNEL);
    assert_eq!(client.poll(), None, "nobody has spoken since");
    assert_eq!(client.send(b"four"), Sending::First);
    let anew = client.sent();
    assert_eq!(anew.value(wire::CHANNEL_NUMBER), Some(vec![0x40, 1, 0, 0]), "a number is of one peer");
}

#[test]
fn rel_3_an_address_is_asked_for_again_before_its_end_however_near_that_is() {
    for life in [LIFE, Duration::from_secs(30)] {
        let mut client = Client::holding(life);
        client.passes(life.saturating_sub(limits::TURN_BEFORE_END.min(life / 2)));
        let again = client.sent();
        assert_eq!((again.method, again.value(wire::LIFETIME)), (wire::REFRESH, None));
        // The nonce was too old.
        client.is_told(&again.refusal(438, "another"));
        let again = client.sent();
        assert_eq!(again.value(Nonce::TYPE), Some(b"another".to_vec()));
        client.is_told(&again.kept(life));
        client.passes(life.saturating_sub(Duration::from_millis(1)));
        assert_eq!(client.events(), [Event::Kept]);
        client.passes(Duration::from_millis(1));
        assert_eq!(client.events(), [Event::Over(Why::Ended)]);
    }
}

#[test]
fn rel_3_a_relay_that_knows_of_no_address_ends_it() {
    let mut client = Client::holding(LIFE);
    client.send(b"one");
    let asked = client.sent();
    client.is_told(&asked.refusal(437, "nonce"));
    let asked = client.sent();
    assert_eq!(asked.value(wire::MOBILITY_TICKET), Some(b"ticket".to_vec()), "it may be seen elsewhere");
    client.is_told(&asked.refusal(437, "nonce"));
    assert_eq!(client.events(), [Event::Over(Why::Refused(437))]);
    assert_eq!(client.send(b"two"), Sending::Lost);
    assert_eq!(client.turn.poll_timeout(), None);
}

/// NAT-5
#[test]
fn nat_5_who_is_mapped_anew_learns_it_when_it_asks_and_is_followed_over_the_same_socket() {
    let mut client = Client::holding(LIFE);
    client.send(b"one");
    let bind = client.sent();
    client.turn.refresh(client.now);
    let asked = client.sent();
    client.is_told(&asked.refusal(437, "nonce"));
    let asked = client.sent();
    client.is_told(&asked.followed(b"second"));
    assert_eq!(client.events(), [Event::Kept]);
    let again = client.sent();
    assert_eq!((again.method, again.peer()), (bind.method, bind.peer()));
    client.is_told(&again.done());
    assert_eq!(client.poll().as_deref(), Some(&b"\x40\0\0\x03one"[..]));
}

#[test]
fn rel_3_a_request_goes_out_again_with_doubling_pauses_and_over_a_stream_once() {
    for (repeats, times) in [(true, limits::TURN_REQUESTS), (false, 1)] {
        let mut client = Client::over(None, repeats);
        let (begun, mut sent) = (client.now, 0);
        while let Some(next) = client.turn.poll_timeout() {
            while client.poll().is_some() {
                sent += 1;
            }
            client.now = next;
            client.turn.handle_timeout(next);
        }
        assert_eq!(sent, times);
        let waited = limits::TURN_RTO * (1 << limits::TURN_REQUESTS);
        let least = if repeats { waited.saturating_sub(limits::TURN_RTO) } else { waited };
        assert_eq!(client.now - begun, least);
        assert_eq!(client.events(), [Event::Over(Why::Silence)]);
    }
}

/// NAT-5
#[test]
fn nat_5_from_elsewhere_the_ticket_is_shown_and_what_is_sent_waits_until_the_relay_follows() {
    let mut client = Client::holding(LIFE);
    client.send(b"one");
    let asked = client.sent();
    client.is_told(&asked.done());
    client.poll();
    for (shown, next) in [(&b"ticket"[..], &b"second"[..]), (b"second", b"third")] {
        assert!(client.turn.follow(true, client.now));
        assert_eq!(client.send(b"two"), Sending::Later);
        let other = client.send_to(b"three", addr("192.0.2.30:7"));
        assert_ne!(other, Sending::Now);
        let asked = client.sent();
        assert_eq!(
            (asked.method, asked.value(wire::MOBILITY_TICKET).as_deref()),
            (wire::REFRESH, Some(shown))
        );
        assert_eq!(asked.value(wire::LIFETIME), None);
        // Nonces are of an address.
        client.is_told(&asked.refusal(438, str::from_utf8(next).unwrap()));
        let asked = client.sent();
        assert_eq!(asked.value(wire::MOBILITY_TICKET).as_deref(), Some(shown));
        assert_eq!(client.poll(), None);
        client.is_told(&asked.followed(next));
        assert_eq!(client.events(), [Event::Kept]);
        let mut left: Vec<_> = core::iter::from_fn(|| client.poll()).collect();
        let data = left.iter().position(|message| message == b"\x40\0\0\x03two").unwrap();
        left.remove(data);
        if other == Sending::First {
            let bind = Sent::read(&left.remove(0));
            assert_eq!(bind.peer(), Some(addr("192.0.2.30:7")));
            client.is_told(&bind.done());
            assert_eq!(client.poll().as_deref(), Some(&b"\x40\x01\0\x05three"[..]));
        }
    }
}

/// NAT-5
#[test]
fn nat_5_without_a_ticket_nothing_follows_and_what_the_relay_has_lost_is_over() {
    let mut client = Client::asking(None);
    let asked = client.sent();
    client.is_told(&asked.refusal(401, "nonce"));
    let asked = client.sent();
    client.is_told(&asked.allocated(LIFE, None));
    client.events();
    assert!(!client.turn.follow(true, client.now));

    let mut client = Client::holding(LIFE);
    assert!(client.turn.follow(true, client.now));
    let asked = client.sent();
    client.is_told(&asked.refusal(437, "nonce"));
    assert_eq!(client.events(), [Event::Over(Why::Refused(437))]);
}

#[test]
fn rel_3_an_address_is_given_back() {
    let mut client = Client::holding(LIFE);
    client.turn.give_back(client.now);
    let asked = client.sent();
    assert_eq!((asked.method, asked.value(wire::LIFETIME)), (wire::REFRESH, Some(vec![0; 4])));
    client.is_told(&asked.done());
    assert_eq!(client.events(), [Event::Over(Why::Ended)]);
}

struct Client {
    turn: Turn,
    now: Instant,
    out: Vec<u8>,
}

impl Client {
    fn over(family: Option<AddressFamily>, repeats: bool) -> Self {
        let (rng, now) = (StdRng::seed_from_u64(1), tokio::time::Instant::now().into_std());
        let login = Login::new("user".to_owned(), "password".to_owned());
        Self { turn: Turn::allocate(login, family, repeats, (rng, now)), now, out: Vec::new() }
    }

    fn asking(family: Option<AddressFamily>) -> Self {
        Self::over(family, true)
    }

    fn holding(life: Duration) -> Self {
        let mut client = Self::asking(None);
        let first = client.sent();
        client.is_told(&first.refusal(401, "nonce"));
        let second = client.sent();
        client.is_told(&second.allocated(life, Some(b"ticket")));
        assert_eq!(client.events().len(), 1);
        client
    }

    fn poll(&mut self) -> Option<Vec<u8>> {
        self.turn.poll_transmit()
    }

    fn sent(&mut self) -> Sent {
        Sent::read(&self.poll().unwrap())
    }

    fn is_told(&mut self, answer: &[u8]) {
        assert_eq!(self.turn.handle_message(answer, self.now), None);
    }

    fn send(&mut self, data: &[u8]) -> Sending {
        self.send_to(data, addr(PEER))
    }

    fn send_to(&mut self, data: &[u8], to: SocketAddr) -> Sending {
        self.turn.send(data, to, &mut self.out, self.now)
    }

    fn passes(&mut self, time: Duration) {
        self.now += time;
        self.turn.handle_timeout(self.now);
    }

    fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.turn.poll_event()).collect()
    }
}

/// A request, as the relay has it.
struct Sent {
    bytes: Vec<u8>,
    method: Method,
}

impl Sent {
    fn read(bytes: &[u8]) -> Self {
        let message = Message::from_bytes(bytes).unwrap();
        assert!(message.has_class(MessageClass::Request));
        Self { bytes: bytes.to_vec(), method: message.method() }
    }

    fn message(&self) -> Message<'_> {
        Message::from_bytes(&self.bytes).unwrap()
    }

    fn value(&self, kind: AttributeType) -> Option<Vec<u8>> {
        wire::value(&self.message(), kind)
    }

    fn peer(&self) -> Option<SocketAddr> {
        wire::address(&self.message(), wire::XOR_PEER_ADDRESS)
    }

    fn is_signed(&self) -> bool {
        self.message().validate_integrity_with_key(&key()).is_ok()
    }

    fn refusal(&self, code: u16, nonce: &str) -> Vec<u8> {
        self.answer(MessageClass::Error, |answer| {
            answer.add_attribute(&ErrorCode::builder(code).build().unwrap()).unwrap();
            if matches!(code, 401 | 438) {
                add(answer, Realm::TYPE, b"relay.example").unwrap();
                add(answer, Nonce::TYPE, nonce.as_bytes()).unwrap();
            }
        })
    }

    fn allocated(&self, life: Duration, ticket: Option<&[u8]>) -> Vec<u8> {
        self.signed(|answer| {
            add_address(answer, wire::XOR_RELAYED_ADDRESS, addr(RELAYED)).unwrap();
            add_address(answer, XorMappedAddress::TYPE, addr(CLIENT)).unwrap();
            keep(answer, life);
            if let Some(ticket) = ticket {
                add(answer, wire::MOBILITY_TICKET, ticket).unwrap();
            }
        })
    }

    fn unsigned(&self) -> Vec<u8> {
        self.answer(MessageClass::Success, |answer| {
            add_address(answer, wire::XOR_RELAYED_ADDRESS, addr(RELAYED)).unwrap();
            keep(answer, LIFE);
        })
    }

    fn followed(&self, ticket: &[u8]) -> Vec<u8> {
        self.signed(|answer| {
            keep(answer, LIFE);
            add(answer, wire::MOBILITY_TICKET, ticket).unwrap();
        })
    }

    fn kept(&self, life: Duration) -> Vec<u8> {
        self.signed(|answer| keep(answer, life))
    }

    fn done(&self) -> Vec<u8> {
        self.signed(|_| {})
    }

    fn signed(&self, write: impl FnOnce(&mut MessageWriteVec)) -> Vec<u8> {
        self.answer(MessageClass::Success, |answer| {
            write(answer);
            answer.add_message_integrity_with_key(&key(), IntegrityAlgorithm::Sha1).unwrap();
        })
    }

    fn answer(&self, class: MessageClass, write: impl FnOnce(&mut MessageWriteVec)) -> Vec<u8> {
        let mut answer = begin_of(class, self.method, self.message().transaction_id().into());
        write(&mut answer);
        answer.finish()
    }
}

fn keep(answer: &mut MessageWriteVec, life: Duration) {
    let seconds = u32::try_from(life.as_secs()).unwrap();
    add(answer, wire::LIFETIME, &seconds.to_be_bytes()).unwrap();
}

fn key() -> stun_types::message::IntegrityKey {
    let [user, password, realm] = ["user", "password", "relay.example"].map(str::to_owned);
    LongTermKeyCredentials::new(user, password, realm).make_key(IntegrityAlgorithm::Sha1)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
