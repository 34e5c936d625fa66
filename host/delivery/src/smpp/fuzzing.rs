//! What nothing that an SMSC says may do to its decoder, which nobody outside sees. A broken rule is a panic.

use rusmpp::{Pdu, tokio_codec::CommandCodec};
use tokio_util::{bytes::BytesMut, codec::Decoder as _};

use super::{
    Heard,
    heard::{Said, said},
};
use crate::limits;

/// A stream of PDUs: what is handed on of a message is of a phone and no longer than what came; a part has its
/// place among not too many. True if something was handed on.
///
/// # Panics
///
/// When a rule is broken.
pub fn pdus(bytes: &[u8]) -> bool {
    let mut codec = CommandCodec::new().with_max_length(limits::SMPP_PDU);
    let (mut stream, mut handed) = (BytesMut::from(bytes), false);
    while let Ok(Some(command)) = codec.decode(&mut stream) {
        let Some(Pdu::DeliverSm(message)) = command.pdu() else { continue };
        for unknown_is_international in [false, true] {
            let Said::Something(heard) = said(message, unknown_is_international) else { continue };
            holds(&heard, bytes.len());
            handed = true;
        }
    }
    handed
}

fn holds(heard: &Heard, came: usize) {
    match heard {
        Heard::Text { from, to, text } => {
            assert!(from.is_phone_number(), "a text of no phone");
            assert!(to.len() + text.chars().count() <= came);
        }
        Heard::Part(part) => {
            assert!(part.from.is_phone_number(), "a part of no phone");
            assert!(part.to.len() + part.text.chars().count() <= came);
            assert!(part.total <= limits::SMPP_PARTS && (1..=part.total).contains(&part.number));
        }
        // What is no UTF-8 stands in a receipt's id as a character of three bytes.
        Heard::Receipt { reference, .. } => assert!(reference.len() <= 3 * came),
    }
}
