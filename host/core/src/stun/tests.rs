//! Vectors of the RFCs, and what breaks their rules.

use alloc::{vec, vec::Vec};
use core::net::SocketAddr;

use super::*;

/// RFC 5769 §2.1, a request with short-term credentials.
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
    002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5\
    b2d3f249c1b571a280280004e57a3bcf";
/// RFC 5769 §2.2, an answer over IPv4.
const ANSWER_IPV4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147\
    e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
/// RFC 5769 §2.3, an answer over IPv6.
const ANSWER_IPV6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147\
    0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";
/// RFC 5769 §2.4, a request with long-term credentials and no FINGERPRINT.
const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000\
    0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700\
    00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

/// RFC 8489 §B.1 with erratum 6268, a request with long-term credentials and SHA-256.
const SHA_256: &str = "000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f\
    24819415569e60b205c46e41407f1704001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c39\
    4653547679363473410000000014000b6578616d706c652e6f726700001d000400020000\
    001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65";

fn vector(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    data_encoding::HEXLOWER.decode(&digits).unwrap()
}

fn transaction() -> [u8; 12] {
    [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]
}

#[test]
fn the_requests_of_rfc_5769_are_read() {
    let bytes = vector(REQUEST);
    let request = Message::parse(&bytes).unwrap();
    assert_eq!(request.message_type(), message_type::BINDING_REQUEST);
    assert_eq!(request.transaction(), transaction());
    assert_eq!(request.attribute(attribute::USERNAME), Some(&b"evtj:h6vY"[..]));
    let kinds: Vec<u16> = request.attributes().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [0x8022, 0x0024, 0x8029, 0x0006, 0x0008, 0x8028]);

    let bytes = vector(LONG_TERM);
    let request = Message::parse(&bytes).unwrap();
    assert_eq!(request.attribute(attribute::REALM), Some(&b"example.org"[..]));
}

#[test]
fn the_answers_of_rfc_5769_are_read() {
    let bytes = vector(ANSWER_IPV4);
    let mapped = Message::parse(&bytes).unwrap().xor_mapped_address();
    assert_eq!(mapped, Some("192.0.2.1:32853".parse().unwrap()));

    let bytes = vector(ANSWER_IPV6);
    let mapped = Message::parse(&bytes).unwrap().xor_mapped_address();
    assert_eq!(mapped, Some("[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()));
}

#[test]
fn the_answers_of_rfc_5769_are_written_byte_by_byte() {
    for hex in [ANSWER_IPV4, ANSWER_IPV6] {
        let bytes = vector(hex);
        let answer = Message::parse(&bytes).unwrap();
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, answer.message_type(), answer.transaction());
        writer.attribute(0x8022, answer.attribute(0x8022).unwrap());
        writer.xor_mapped_address(answer.xor_mapped_address().unwrap());
        writer
            .attribute(attribute::MESSAGE_INTEGRITY, answer.attribute(attribute::MESSAGE_INTEGRITY).unwrap());
        // The vectors pad SOFTWARE with a space, we with zero; the padding is the one difference.
        let software_padding = HEADER + 4 + 11;
        assert_eq!(bytes[software_padding], b' ');
        out[software_padding] = b' ';
        let writer = Writer { out: &mut out, transaction: answer.transaction() };
        writer.fingerprint();
        assert_eq!(out, bytes);
    }
}

#[test]
fn an_independent_codec_reads_what_is_written() {
    use stun_types::{attribute as theirs, message};
    for mapped in ["198.51.100.7:1", "[2001:db8::7]:65535"] {
        let mapped: SocketAddr = mapped.parse().unwrap();
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, message_type::BINDING_SUCCESS, transaction());
        writer.xor_mapped_address(mapped);
        writer.fingerprint();
        let read = message::Message::from_bytes(&out).unwrap();
        let read = read.attribute::<theirs::XorMappedAddress>().unwrap().addr(read.transaction_id());
        assert_eq!(read, mapped);
    }
}

#[test]
fn what_is_not_stun_is_told_apart_from_what_is_malformed() {
    let good = vector(REQUEST);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Message::parse(&bytes).map(|_| ())
    };
    assert_eq!(Message::parse(&good[..19]), Err(NotAMessage::NotStun));
    assert_eq!(changed(0, 0x40), Err(NotAMessage::NotStun), "the first two bits are zero");
    assert_eq!(changed(4, 0), Err(NotAMessage::NotStun), "no magic cookie: RFC 3489 or another protocol");
    assert_eq!(changed(30, 0), Err(NotAMessage::NotStun), "the FINGERPRINT is wrong");
    assert_eq!(changed(3, 0x57), Err(NotAMessage::Malformed), "not a multiple of four");
    assert_eq!(changed(3, 0x54), Err(NotAMessage::Malformed), "shorter than the datagram");
    assert_eq!(changed(22, 0xFF), Err(NotAMessage::Malformed), "an attribute beyond the end");
}

#[test]
fn no_change_of_one_byte_and_no_cut_panics() {
    for hex in [REQUEST, ANSWER_IPV4, ANSWER_IPV6, LONG_TERM] {
        let good = vector(hex);
        for at in 0..good.len() {
            let mut bytes = good.clone();
            for byte in [0, 0xFF, good[at] ^ 1] {
                bytes[at] = byte;
                walk(&bytes);
            }
            assert!(Message::parse(&good[..at]).is_err());
        }
    }
}

fn walk(bytes: &[u8]) {
    if let Ok(message) = Message::parse(bytes) {
        _ = (message.xor_mapped_address(), message.attributes().count());
    }
}

#[test]
fn an_error_code_stands_as_class_and_number() {
    let mut out = vec![1; 99];
    let mut writer = Writer::new(&mut out, message_type::BINDING_ERROR, transaction());
    writer.error_code(420);
    assert_eq!(Message::parse(&out).unwrap().attribute(attribute::ERROR_CODE), Some(&[0, 0, 4, 20][..]));
}

#[test]
fn the_messages_of_rfc_5769_are_authentic_under_their_keys_and_no_other() {
    let short_term = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
    let long_term = Key::long_term_md5("マトリックス", "example.org", "TheMatrIX");
    for (hex, key, other) in [
        (REQUEST, &short_term, &long_term),
        (ANSWER_IPV4, &short_term, &long_term),
        (ANSWER_IPV6, &short_term, &long_term),
        (LONG_TERM, &long_term, &short_term),
    ] {
        let bytes = vector(hex);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.algorithm(), Some(Algorithm::Sha1));
        assert!(message.is_authentic(key));
        assert!(!message.is_authentic(other));
    }
}

#[test]
fn the_long_term_request_of_rfc_5769_is_signed_byte_by_byte() {
    let bytes = vector(LONG_TERM);
    let message = Message::parse(&bytes).unwrap();
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, message.message_type(), message.transaction());
    for (kind, value) in message.covered_attributes() {
        writer.attribute(kind, value);
    }
    writer.sign(&Key::long_term_md5("マトリックス", "example.org", "TheMatrIX"), Algorithm::Sha1);
    assert_eq!(out, bytes);
}

#[test]
fn the_sha_256_request_of_rfc_8489_is_authentic() {
    let bytes = vector(SHA_256);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.algorithm(), Some(Algorithm::Sha256));
    assert!(message.is_authentic(&Key::long_term_sha256("マトリックス", "example.org", "TheMatrIX")));
    assert!(!message.is_authentic(&Key::long_term_md5("マトリックス", "example.org", "TheMatrIX")));
}

#[test]
fn an_independent_codec_verifies_both_integrities() {
    use stun_types::message::{self, IntegrityAlgorithm, LongTermKeyCredentials};
    let theirs = LongTermKeyCredentials::new("user".into(), "secret".into(), "realm".into());
    for (algorithm, key, read_as) in [
        (Algorithm::Sha1, Key::long_term_md5("user", "realm", "secret"), IntegrityAlgorithm::Sha1),
        (Algorithm::Sha256, Key::long_term_sha256("user", "realm", "secret"), IntegrityAlgorithm::Sha256),
    ] {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, message_type::BINDING_REQUEST, transaction());
        writer.attribute(attribute::USERNAME, b"user");
        writer.sign(&key, algorithm);
        writer.fingerprint();
        let read = message::Message::from_bytes(&out).unwrap();
        assert_eq!(read.validate_integrity(&theirs.clone().into()).unwrap(), read_as);
    }
}

#[test]
fn a_cut_sha_256_counts_down_to_sixteen_bytes_and_what_follows_a_signature_is_not_covered() {
    let key = Key::short_term("secret");
    let signed = |length: usize| {
        let mut covered = Vec::new();
        let mut writer = Writer::new(&mut covered, message_type::BINDING_REQUEST, transaction());
        writer.attribute(attribute::USERNAME, b"user");
        writer.write_length(4 + length);
        let mac = key.mac(Algorithm::Sha256, &covered);
        let mut writer = Writer { out: &mut covered, transaction: transaction() };
        writer.attribute(attribute::MESSAGE_INTEGRITY_SHA256, &mac[..length]);
        writer.attribute(attribute::REALM, b"added by somebody else");
        covered
    };
    let authentic = |length| Message::parse(&signed(length)).unwrap().is_authentic(&key);
    assert_eq!([32, 28, 20, 16].map(authentic), [true; 4]);
    assert_eq!([12, 8, 4, 0].map(authentic), [false; 4]);

    let bytes = signed(32);
    let covered: Vec<u16> =
        Message::parse(&bytes).unwrap().covered_attributes().map(|(kind, _)| kind).collect();
    assert_eq!(covered, [attribute::USERNAME]);
}

#[test]
fn a_frame_of_a_stream_says_its_length_first() {
    assert_eq!(frame_length([0, 1, 0, 0x58]), Ok(20 + 0x58));
    assert_eq!(frame_length([0, 1, 0, 0x57]), Err(NotAMessage::Malformed));
    assert_eq!(frame_length(*b"GET "), Err(NotAMessage::NotStun));
}

#[test]
fn a_plain_address_stands_as_it_is() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, message_type::BINDING_SUCCESS, transaction());
    writer.plain_address(attribute::OTHER_ADDRESS, "192.0.2.2:3479".parse().unwrap());
    let value = Message::parse(&out).unwrap().attribute(attribute::OTHER_ADDRESS);
    assert_eq!(value, Some(&[0, 1, 0x0D, 0x97, 192, 0, 2, 2][..]));
}
