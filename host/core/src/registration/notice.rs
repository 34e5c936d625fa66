//! What devices hear of registrations that go on without them: messages in their mailboxes (REG-8).

use core::time::Duration;

use rand_core::CryptoRng;
use switchhook_protocol::{
    endpoint::EndpointId,
    event::{AskedFor, Event, Notice},
    id::{AttemptId, DeviceId},
    time::Timestamp,
};

use crate::{
    mint,
    row::{Message, Write},
};

/// How long a device may be away and still hear of its registration: over a weekend, and a day more.
pub const LIFE: Duration = Duration::from_hours(4 * 24);

/// Tells a device a word of its attempt.
pub fn tell(
    device: DeviceId,
    attempt: AttemptId,
    (word, endpoint): (&str, Option<&EndpointId>),
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Write {
    let notice = Notice { attempt, word: word.into(), endpoint: endpoint.cloned() };
    message(device, &Event::Notice(notice), now, rng)
}

/// Asks a device's user for fields of its attempt.
pub fn ask(device: DeviceId, asked: AskedFor, now: Timestamp, rng: &mut impl CryptoRng) -> Write {
    message(device, &Event::Asked(asked), now, rng)
}

pub(super) fn message(device: DeviceId, event: &Event, now: Timestamp, rng: &mut impl CryptoRng) -> Write {
    Write::Append(Message {
        device,
        id: mint::message(rng),
        event: serde_json::to_string(event).unwrap_or_default(),
        expires_at: now.after(LIFE),
        collapse_key: None,
    })
}
