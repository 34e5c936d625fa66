//! Datagrams and streams of strangers at CDX and the relay.

use switchhook_core::stun::{Algorithm, Key, Message, Writer, attribute, frame_length, read_address};

/// What is read as a message has the length that a stream would give it; written again it is read the
/// same, and signed anew it is authentic under that key and no other.
pub fn stun(bytes: &[u8]) -> bool {
    let Ok(message) = Message::parse(bytes) else {
        return false;
    };
    let begin = *bytes.first_chunk().expect("a message has a header");
    assert_eq!(frame_length(begin), Ok(bytes.len()));
    assert!(!message.is_authentic(&Key::short_term("nobody's")), "authentic under a key of nobody's");

    let plain: Vec<(u16, &[u8])> =
        message.covered_attributes().filter(|(kind, _)| !is_of_the_end(*kind)).collect();
    for (_, value) in &plain {
        let _address = read_address(value, &message.transaction());
    }
    let key = Key::short_term("key");
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, message.message_type(), message.transaction());
        for (kind, value) in &plain {
            writer.attribute(*kind, value);
        }
        writer.sign(&key, algorithm);
        let written = Message::parse(&out).expect("what was written is a message");
        assert!(written.is_authentic(&key));
        assert!(!written.is_authentic(&Key::short_term("other")));
        assert_eq!(written.covered_attributes().collect::<Vec<_>>(), plain);
    }
    true
}

const fn is_of_the_end(kind: u16) -> bool {
    matches!(
        kind,
        attribute::FINGERPRINT | attribute::MESSAGE_INTEGRITY | attribute::MESSAGE_INTEGRITY_SHA256
    )
}
