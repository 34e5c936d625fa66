//! What is posted to the host in the name of a gateway.

use std::str;

use switchhook_core::transit::{sign, twilio::Form, verify};
use switchhook_protocol::time::Timestamp;

const SECRET: &[u8] = b"12345678901234567890123456789012";

/// The first line is a signature, the rest a body. Without the secret nobody speaks for a gateway; what its gateway
/// signs counts for this body and no longer one; and a text of Twilio's is one of a phone, no longer than its form.
pub fn webhooks(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (header, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(header) = str::from_utf8(header) else { return false };
    let now = Timestamp::from_millis(1_700_000_000_000);
    assert!(verify(SECRET, body, header, now).is_err(), "{header} was signed by nobody");
    let signed = sign(SECRET, body, now);
    assert_eq!(verify(SECRET, body, &signed, now), Ok(()));
    assert!(verify(SECRET, &[body, b"\n"].concat(), &signed, now).is_err());

    let form = Form::parse(body);
    assert!(form.verify(SECRET, "https://calls.example/", header).is_err(), "{header} was signed by nobody");
    let received = form.received();
    if let Some(received) = &received {
        assert!(received.from.is_phone_number());
        // What is no UTF-8 is a character of three bytes.
        assert!(received.id.len() + received.to.len() + received.text.len() <= 3 * body.len());
    }
    received.is_some() || form.status().is_some()
}
