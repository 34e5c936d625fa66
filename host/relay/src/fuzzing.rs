//! What no bytes of a stranger may do to the relay's own decoders, which nobody outside sees. A broken rule
//! is a panic; each function says whether the bytes came as far as its rule.

use std::time::Duration;

use switchhook_core::stun::{Message, Writer};
use switchhook_protocol::time::Timestamp;

use crate::{
    family::Family,
    limits,
    refusal::Refusal,
    request::{Wanted, WantedPort, channel, connection, gives_up, lifetime, peers},
    transport::Transport,
    wire::{CHANNELS, attribute, message_type},
};

/// The shortest XOR-PEER-ADDRESS, with its header: type, length, family, port, IPv4.
const PEER: usize = 12;

/// A request: what it names has its place in the message, an allocation lives as long as is said and its token
/// lasts, and what an Allocate wants is read the same when it is written anew, with nothing beside it.
///
/// # Panics
///
/// When a rule is broken.
pub fn request(bytes: &[u8]) -> bool {
    let Ok(request) = Message::parse(bytes) else { return false };
    let (now, left) = (Timestamp::from_millis(0), 900);
    let seconds = lifetime(&request, now, now.after(Duration::from_secs(left.into())));
    assert!((limits::DEFAULT_LIFETIME..=left).contains(&seconds), "{seconds} s of {left}");
    assert!(!gives_up(&request) || seconds == limits::DEFAULT_LIFETIME);
    assert!(channel(&request).is_none_or(|channel| CHANNELS.contains(&channel)));
    assert!(connection(&request).is_none_or(|id| bytes.windows(id.len()).any(|window| window == id)));
    let named = peers(&request).unwrap_or_default();
    assert!(named.len() * PEER <= bytes.len(), "{} peers in {} bytes", named.len(), bytes.len());
    match Wanted::read(&request) {
        Ok(wanted) => {
            assert!(wanted.transport == Transport::Udp || wanted.port == WantedPort::Any, "{wanted:?}");
            assert_eq!(read_anew(&wanted), Ok(wanted));
            true
        }
        Err(refused) => {
            let told = [Refusal::BadRequest, Refusal::UnsupportedTransport, Refusal::AddressFamily];
            assert!(told.contains(&refused), "{refused:?}");
            !named.is_empty()
        }
    }
}

fn read_anew(wanted: &Wanted) -> Result<Wanted, Refusal> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, message_type::ALLOCATE, [1; 12]);
    let protocol = match wanted.transport {
        Transport::Udp => 17,
        Transport::Tcp => 6,
    };
    writer.attribute(attribute::REQUESTED_TRANSPORT, &[protocol, 0, 0, 0]);
    if let Some(family) = wanted.family {
        writer.attribute(attribute::REQUESTED_ADDRESS_FAMILY, family_value(family));
    }
    if wanted.both {
        writer.attribute(attribute::ADDITIONAL_ADDRESS_FAMILY, family_value(Family::V6));
    }
    match wanted.port {
        WantedPort::Any => {}
        WantedPort::Even => writer.attribute(attribute::EVEN_PORT, &[0]),
        WantedPort::Pair => writer.attribute(attribute::EVEN_PORT, &[0x80]),
        WantedPort::Reserved(token) => writer.attribute(attribute::RESERVATION_TOKEN, &token),
    }
    Message::parse(&out).or(Err(Refusal::BadRequest)).and_then(|request| Wanted::read(&request))
}

const fn family_value(family: Family) -> &'static [u8] {
    match family {
        Family::V4 => &[1, 0, 0, 0],
        Family::V6 => &[2, 0, 0, 0],
    }
}
