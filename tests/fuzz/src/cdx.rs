//! What strangers ask CDX.

use std::net::{Ipv4Addr, SocketAddr};

use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_core::cdx::{Answer, Origin, Others, Route, STANDARD_EXCESS, answer, answer_in_stream, own};
use switchhook_protocol::{
    cdx::own::{Answered, Asked},
    time::Timestamp,
};

use crate::{keys::cdx_keys, stun};

/// A datagram: an answer is a message of STUN, larger than its question by some addresses at most, with an observation
/// not at all; it leaves from an address that CDX has. Without a key nobody asks in secret, and what is taken apart
/// is put together as it was. True if there was an answer, or something to take apart.
pub fn cdx(bytes: &[u8]) -> bool {
    let (keys, now) = (cdx_keys(), Timestamp::from_millis(0));
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 3479));
    let route =
        Route { from: SocketAddr::from(([192, 0, 2, 1], 9)), to, others: Others { port: 3480, ip: None } };
    let mut out = Vec::new();
    let answered = answer(bytes, route, &keys, now, &mut StdRng::seed_from_u64(1), &mut out);
    if let Ok(reply) = answered {
        let excess = if reply.answer == Answer::Observation { 0 } else { STANDARD_EXCESS };
        assert!(out.len() <= bytes.len() + excess, "{} bytes for {}", out.len(), bytes.len());
        assert_ne!(
            reply.origin,
            Origin { other_ip: true, ..reply.origin },
            "from an address that CDX has not"
        );
        assert!(stun(&out), "an answer is a message");
    }
    let mut out = Vec::new();
    let in_stream = answer_in_stream(bytes, route.from, &mut out);
    assert_eq!(in_stream.is_ok(), answered.is_ok(), "{in_stream:?} {answered:?}");
    assert!(out.len() <= bytes.len() + STANDARD_EXCESS);
    assert!(own::hear(bytes, &keys, now).is_err(), "a handle that nobody gave");
    answered.is_ok() || is_taken_apart(bytes)
}

fn is_taken_apart(bytes: &[u8]) -> bool {
    if let Some(asked) = Asked::read(bytes) {
        assert_eq!(asked.write().as_deref(), Some(bytes));
        return true;
    }
    let Some(answered) = Answered::read(bytes) else { return false };
    let mut out = Vec::new();
    answered.write(&mut out);
    assert_eq!(out, bytes);
    true
}
