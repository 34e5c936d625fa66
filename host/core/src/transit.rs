//! Texts between devices and the host, and the gateways that they go through (REG-2, REG-3).
//!
//! A transit is a gateway's side that posts what it has received. Here stands how that is signed, in the generic form
//! ([`sign`], [`verify`]) and in Twilio's ([`twilio`]); what a gateway may be configured to be ([`configuration`]), and
//! by which of several a text goes out ([`choice`]) and how texts fared before ([`conversion`]); whom a tenant texts, and how much of it ([`policy`]); by which words
//! people want no more texts ([`keyword`]).

pub mod choice;
pub mod configuration;
pub mod conversion;
pub mod keyword;
pub mod policy;
mod signature;
pub mod twilio;

pub use self::signature::{InvalidSignature, SIGNATURE_HEADER, TOLERANCE, sign, verify};

/// Most bytes of what a gateway calls a message.
pub const MAX_MESSAGE_ID: usize = 128;

/// Whether a gateway may call a message so: 1 to [`MAX_MESSAGE_ID`] printable characters of ASCII, no space. It is
/// stored, compared and logged.
pub fn is_message_id(id: &str) -> bool {
    (1..=MAX_MESSAGE_ID).contains(&id.len()) && id.bytes().all(|letter| letter.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_gateway_calls_a_message_is_short_and_printable() {
        for fine in ["m-1", "SM0123456789abcdef", &"x".repeat(128)] {
            assert!(is_message_id(fine), "{fine}");
        }
        for wrong in ["", "m 1", "m\n1", "m\0", "é", &"x".repeat(129)] {
            assert!(!is_message_id(wrong), "{wrong:?}");
        }
    }
}
