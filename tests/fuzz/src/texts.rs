//! Words of people and of their phones: identifiers, numbers as they are dialled, texts, tokens.

use std::str;

use data_encoding::BASE32_NOPAD;
use switchhook_core::{
    registration::{link, signature},
    relay_peers::AddressRange,
    sms::{self, Alphabet},
};
use switchhook_numbering as numbering;
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{DeviceId, PushToken},
    number::DialsFrom,
    registration::{parse_signature_text, signature_text},
};

/// A text. What is an identifier is so in one spelling only and does not print; what is completed to a number is one;
/// what is read of a text is written as it was; and short messages are no longer than the air allows.
pub fn texts(bytes: &[u8]) -> bool {
    assert!(sms::gsm7(bytes).chars().count() <= bytes.len());
    assert!(sms::ucs2(bytes).chars().count() <= bytes.len() / 2);
    let Ok(text) = str::from_utf8(bytes) else { return false };
    travels(text);
    identifies(text);
    dialled(text);
    let words = [is_range(text), is_token(text), is_signature(text), is_identifier(text)];
    words.contains(&true)
}

fn travels(text: &str) {
    let sms::Parts { alphabet, parts } = sms::split(text);
    let longest = match (alphabet, parts.len()) {
        (Alphabet::Gsm7, 1) => 160,
        (Alphabet::Gsm7, _) => 153,
        (Alphabet::Ucs2, 1) => 140,
        (Alphabet::Ucs2, _) => 134,
    };
    assert!(!parts.is_empty() && parts.iter().all(|part| part.len() <= longest), "{text:?}");
    let read: String = match alphabet {
        Alphabet::Gsm7 => parts.iter().map(|part| sms::gsm7(part)).collect(),
        Alphabet::Ucs2 => parts.iter().map(|part| sms::ucs2(part)).collect(),
    };
    assert_eq!(read, text);
}

fn identifies(text: &str) {
    if let Ok(device) = text.parse::<DeviceId>() {
        assert_eq!(device.as_str(), text);
    }
    if let Ok(token) = text.parse::<PushToken>() {
        assert_eq!(token.as_str(), text);
        assert_ne!(format!("{token:?}"), text);
    }
}

fn is_identifier(text: &str) -> bool {
    let Ok(endpoint) = text.parse::<EndpointId>() else { return false };
    assert_eq!(endpoint.reveal().parse().as_ref(), Ok(&endpoint), "{text:?}");
    assert!(!format!("{endpoint} {endpoint:?}").contains(endpoint.reveal()), "{text:?}");
    assert!(!(endpoint.is_phone_number() && endpoint.is_mail_address()), "{text:?}");
    true
}

fn dialled(text: &str) {
    for country in ["US", "DE", "IT", "JP"] {
        let from = DialsFrom { country: country.to_owned(), area: Some("30".to_owned()) };
        if let Ok(number) = numbering::complete(Some(&from), text) {
            assert!(number.is_phone_number() && numbering::is_valid(&number), "{text:?} in {country}");
            assert_eq!(numbering::complete(None, number.reveal()), Ok(number), "{text:?} in {country}");
        }
    }
}

fn is_range(text: &str) -> bool {
    let Ok(range) = text.parse::<AddressRange>() else { return false };
    assert_eq!(range.to_string().parse(), Ok(range));
    true
}

/// The record of a link's or a signature's token is named by its first ten bytes.
fn is_token(text: &str) -> bool {
    let records = [link::record_id(text), signature::record_id(text)];
    for record in records.iter().flatten() {
        assert_eq!(BASE32_NOPAD.decode(record.as_bytes()).map(|bytes| bytes.len()), Ok(10), "{text}");
        assert!(text.starts_with(record), "{text}");
    }
    records.iter().any(Result::is_ok)
}

fn is_signature(text: &str) -> bool {
    let Some((number, signature)) = parse_signature_text(text) else { return false };
    let written = signature_text(&number, &signature);
    assert_eq!(parse_signature_text(&written), Some((number, signature)));
    true
}
