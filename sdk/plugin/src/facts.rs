//! Rare facts, asked for when needed.

use alloc::string::String;

pub use crate::bindings::shared::switchhook::types::facts::{Conversion, Standing};

/// How many devices hold this identifier, at most 255; none in native tests.
pub fn devices_of(identifier: &str) -> u8 {
    if cfg!(target_arch = "wasm32") {
        crate::bindings::shared::switchhook::types::facts::devices_of(identifier)
    } else {
        0
    }
}

/// What is known of an address: by the profile that the attempt speaks for, then by the user directory; unknown in native
/// tests.
pub fn standing_of(address: &str) -> Standing {
    if cfg!(target_arch = "wasm32") {
        crate::bindings::shared::switchhook::types::facts::standing_of(address)
    } else {
        Standing::Unknown
    }
}

/// How texts to numbers that begin as this one have fared in the last day: a number that the event names. As if none
/// were sent for any other, and in native tests.
pub fn conversion_of(number: &str) -> Conversion {
    if cfg!(target_arch = "wasm32") {
        crate::bindings::shared::switchhook::types::facts::conversion_of(number)
    } else {
        Conversion { sent: 0, delivered: 0, proven: 0 }
    }
}

/// The one spelling of an identifier that a person typed, none if it is none; in native tests the same text, if it has
/// neither spaces nor capitals.
pub fn canonical(typed: &str) -> Option<String> {
    if cfg!(target_arch = "wasm32") {
        crate::bindings::shared::switchhook::types::facts::canonical(typed)
    } else {
        let plain = |c: char| !c.is_whitespace() && !c.is_uppercase();
        (!typed.is_empty() && typed.chars().all(plain)).then(|| typed.into())
    }
}
