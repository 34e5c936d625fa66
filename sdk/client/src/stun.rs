//! STUN messages as the client needs them (RFC 8489), over the codec of `stun-types`.

use core::net::SocketAddr;

use stun_types::{
    attribute::{AttributeType, RawAttribute, Username, XorMappedAddress},
    message::{
        BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageClass, MessageType, MessageWrite as _,
        MessageWriteExt as _, MessageWriteVec, Method, ShortTermCredentials, TransactionId,
    },
};
use switchhook_protocol::cdx;

/// Says that the sender means to use this path (RFC 8445 §7.1.2).
const USE_CANDIDATE: AttributeType = AttributeType::new(0x0025);

/// Largest STUN message that is looked at.
const MAX_MESSAGE: usize = 1_280;

/// A request to CDX, padded so that its answer may hold an observation.
pub(crate) fn observation_request(transaction: u128) -> Option<Vec<u8>> {
    let padding = [0; cdx::REQUEST_PADDING];
    let mut message = begin(MessageClass::Request, transaction);
    message.add_attribute(&RawAttribute::new(AttributeType::new(cdx::OBSERVATION_REQUEST), &padding)).ok()?;
    Some(message.finish())
}

/// Answers as CDX does, with this text in place of a seal.
pub(crate) fn observation_answer(request: &[u8], observed: SocketAddr, sealed: &str) -> Option<Vec<u8>> {
    let request = binding(request).filter(|message| message.has_class(MessageClass::Request))?;
    let transaction = request.transaction_id();
    let mut message = begin(MessageClass::Success, transaction.into());
    message.add_attribute(&XorMappedAddress::new(observed, transaction)).ok()?;
    let observation = AttributeType::new(cdx::OBSERVATION);
    message.add_attribute(&RawAttribute::new(observation, sealed.as_bytes())).ok()?;
    Some(message.finish())
}

/// What CDX answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) transaction: u128,
    pub(crate) address: SocketAddr,
    /// Sealed, for the host.
    pub(crate) sealed: Option<String>,
}

/// Reads an answer of CDX.
pub(crate) fn read_observation(datagram: &[u8]) -> Option<Observed> {
    let message = binding(datagram).filter(|message| message.has_class(MessageClass::Success))?;
    let transaction = message.transaction_id();
    let address = message.attribute::<XorMappedAddress>().ok()?.addr(transaction);
    let sealed = message.raw_attribute(AttributeType::new(cdx::OBSERVATION));
    let sealed = sealed.and_then(|sealed| String::from_utf8(sealed.value.to_vec()).ok());
    Some(Observed { transaction: transaction.into(), address, sealed })
}

/// Connectivity checks of one side of a session: Binding with short-term credentials.
///
/// The key is the session's media key. The username names session and sender, so that a check that
/// is thrown back at its sender is not taken for the peer's.
pub(crate) struct Checks {
    key: IntegrityKey,
    mine: String,
    theirs: String,
}

/// An authentic check of the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// "Do you hear me?"
    Request {
        transaction: u128,
        /// The sender means to use this path.
        nominates: bool,
    },
    /// "I hear you."
    Success { transaction: u128 },
}

impl Checks {
    pub(crate) fn new(password: String, mine: String, theirs: String) -> Self {
        Self { key: ShortTermCredentials::new(password).make_key(), mine, theirs }
    }

    pub(crate) fn request(&self, transaction: u128, nominates: bool) -> Option<Vec<u8>> {
        let mut message = begin(MessageClass::Request, transaction);
        message.add_attribute(&Username::new(&self.mine).ok()?).ok()?;
        if nominates {
            message.add_attribute(&RawAttribute::new(USE_CANDIDATE, &[])).ok()?;
        }
        self.end(message)
    }

    pub(crate) fn success(&self, transaction: u128, observed: SocketAddr) -> Option<Vec<u8>> {
        let mut message = begin(MessageClass::Success, transaction);
        message.add_attribute(&XorMappedAddress::new(observed, transaction.into())).ok()?;
        self.end(message)
    }

    fn end(&self, mut message: MessageWriteVec) -> Option<Vec<u8>> {
        message.add_message_integrity_with_key(&self.key, IntegrityAlgorithm::Sha256).ok()?;
        message.add_fingerprint().ok()?;
        Some(message.finish())
    }

    /// Reads a datagram; none if it is not an authentic check of the peer's.
    pub(crate) fn read(&self, datagram: &[u8]) -> Option<Check> {
        let message = binding(datagram)?;
        if !matches!(message.validate_integrity_with_key(&self.key), Ok(IntegrityAlgorithm::Sha256)) {
            return None;
        }
        let transaction = message.transaction_id().into();
        match message.class() {
            MessageClass::Request => {
                // The codec ends a message at its integrity: what somebody added behind it is not there.
                let theirs = message.attribute::<Username>().ok()?.username() == self.theirs;
                let nominates = message.has_attribute(USE_CANDIDATE);
                theirs.then_some(Check::Request { transaction, nominates })
            }
            MessageClass::Success => Some(Check::Success { transaction }),
            MessageClass::Error | MessageClass::Indication => None,
        }
    }
}

/// Begins a Binding message.
pub(crate) fn begin(class: MessageClass, transaction: u128) -> MessageWriteVec {
    begin_of(class, BINDING, transaction)
}

/// Begins a message of any method.
pub(crate) fn begin_of(class: MessageClass, method: Method, transaction: u128) -> MessageWriteVec {
    let kind = MessageType::from_class_method(class, method);
    Message::builder(kind, TransactionId::from(transaction), MessageWriteVec::with_capacity(128))
}

/// Reads a Binding message.
pub(crate) fn binding(datagram: &[u8]) -> Option<Message<'_>> {
    // STUN's first two bits are zero; the rest of the check is not worth a datagram of data.
    let stun = datagram.first().is_some_and(|first| first & 0xC0 == 0) && datagram.len() <= MAX_MESSAGE;
    let message = if stun { Message::from_bytes(datagram).ok()? } else { return None };
    message.has_method(BINDING).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(password: &str, mine: &str, theirs: &str) -> Checks {
        Checks::new(password.to_owned(), mine.to_owned(), theirs.to_owned())
    }

    #[test]
    fn a_check_is_read_by_the_peer_alone() {
        let alice = checks("key", "s:inviter", "s:callee");
        let bob = checks("key", "s:callee", "s:inviter");
        let request = alice.request(5, true).unwrap();
        assert_eq!(bob.read(&request), Some(Check::Request { transaction: 5, nominates: true }));
        assert_eq!(alice.read(&request), None, "thrown back");
        assert_eq!(checks("other", "s:callee", "s:inviter").read(&request), None, "another key");
        assert_eq!(checks("key", "t:callee", "t:inviter").read(&request), None, "another session");
        let success = bob.success(5, "192.0.2.1:9".parse().unwrap()).unwrap();
        assert_eq!(alice.read(&success), Some(Check::Success { transaction: 5 }));
    }

    #[test]
    fn a_changed_check_is_no_check() {
        let alice = checks("key", "s:inviter", "s:callee");
        let bob = checks("key", "s:callee", "s:inviter");
        let request = alice.request(5, false).unwrap();
        for at in 0..request.len() - 8 {
            let mut changed = request.clone();
            changed[at] ^= 1;
            assert_eq!(bob.read(&changed), None, "byte {at}");
            assert_eq!(bob.read(&request[..at]), None);
        }
    }

    #[test]
    fn a_nomination_that_was_added_behind_the_integrity_does_not_count() {
        let alice = checks("key", "s:inviter", "s:callee");
        let bob = checks("key", "s:callee", "s:inviter");
        let mut request = alice.request(5, false).unwrap();
        let fingerprint = request.len() - 8;
        request.splice(fingerprint.., [0, 0x25, 0, 0]);
        request[3] -= 4;
        let read = bob.read(&request);
        assert!(matches!(read, None | Some(Check::Request { nominates: false, .. })), "{read:?}");
    }

    #[test]
    fn without_integrity_nothing_is_a_check() {
        let bob = checks("key", "s:callee", "s:inviter");
        let mut message = begin(MessageClass::Request, 5);
        message.add_attribute(&Username::new("s:inviter").unwrap()).unwrap();
        assert_eq!(bob.read(&message.finish()), None);
    }

    #[test]
    fn what_is_asked_of_cdx_is_large_enough_for_the_answer() {
        let request = observation_request(7).unwrap();
        let message = Message::from_bytes(&request).unwrap();
        assert_eq!(request.len(), 20 + 4 + cdx::REQUEST_PADDING);
        assert!(message.has_attribute(AttributeType::new(cdx::OBSERVATION_REQUEST)));
        assert_eq!(read_observation(&request), None, "a request is no answer");
    }

    #[test]
    fn an_observation_is_read_with_and_without_its_seal() {
        let address = "[2001:db8::7]:4000".parse().unwrap();
        for sealed in [None, Some("c2VhbGVk".to_owned())] {
            let mut message = begin(MessageClass::Success, 7);
            message.add_attribute(&XorMappedAddress::new(address, 7.into())).unwrap();
            if let Some(sealed) = &sealed {
                let attribute = AttributeType::new(cdx::OBSERVATION);
                message.add_attribute(&RawAttribute::new(attribute, sealed.as_bytes())).unwrap();
            }
            let read = read_observation(&message.finish());
            assert_eq!(read, Some(Observed { transaction: 7, address, sealed }));
        }
    }
}
