//! What `deliver_sm` says: a text, a part of one, or a receipt.
//!
//! A receipt is known by its message type. Its id and state stand in parameters of their own, or, with
//! SMSCs that do not send these, in its text: `id:… … stat:DELIVRD …` (SMPP 3.4, appendix B).

use rusmpp::{
    pdus::DeliverSm,
    tlvs::TlvValue,
    values::{DataCoding, MessageState, Ton},
};
use switchhook_core::sms;
use switchhook_protocol::endpoint::EndpointId;

use super::{Heard, Part};
use crate::limits;

/// What a message says.
#[derive(Debug)]
pub(super) enum Said {
    /// Something to hand on.
    Something(Heard),
    /// What is known already: a text is still on its way.
    Nothing,
    /// Nothing that the host could use.
    Nonsense,
}

/// Bits of `esm_class`: message type, and whether a header stands before the text.
const MESSAGE_TYPE: u8 = 0b0011_1100;
const RECEIPT: u8 = 0b0000_0100;
const HEADER: u8 = 0b0100_0000;

pub(super) fn said(message: &DeliverSm, unknown_is_international: bool) -> Said {
    let class = u8::from(message.esm_class);
    match class & MESSAGE_TYPE {
        RECEIPT => receipt(message),
        0 => {
            let from = sender(message, unknown_is_international);
            from.and_then(|from| text(message, from, class & HEADER != 0)).unwrap_or(Said::Nonsense)
        }
        _ => Said::Nonsense,
    }
}

fn text(message: &DeliverSm, from: EndpointId, header: bool) -> Option<Said> {
    let to = message.destination_addr.as_str().to_owned();
    let (place, body) = match (header, bytes(message)) {
        (true, bytes) => header_of(bytes)?,
        (false, bytes) => (sar(message), bytes),
    };
    let text = decode(message.data_coding, body)?;
    Some(match place {
        Some((reference, total, number)) if total > 1 => {
            let fits = total <= limits::SMPP_PARTS && bytes(message).len() <= limits::SMPP_PART;
            (fits && (1..=total).contains(&number)).then_some(())?;
            Said::Something(Heard::Part(Part { from, to, text, reference, total, number }))
        }
        _ => Said::Something(Heard::Text { from, to, text }),
    })
}

/// The sender, if that is a phone's international number: its type or its plus says so. Without both, it may be a
/// national number, and with a plus another person's.
fn sender(message: &DeliverSm, unknown_is_international: bool) -> Option<EndpointId> {
    let address = message.source_addr.as_str();
    let plus = address.strip_prefix('+');
    let told = plus.is_some() || unknown_is_international;
    let of_type = message.source_addr_ton;
    let phone = of_type == Ton::International || (of_type == Ton::Unknown && told);
    phone.then(|| format!("+{}", plus.unwrap_or(address)).parse().ok()).flatten()
}

/// Where a part belongs: reference, how many there are, which one this is.
type Place = (u16, u8, u8);

/// The place that a user data header says, and what stands behind the header.
fn header_of(bytes: &[u8]) -> Option<(Option<Place>, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (mut elements, body) = rest.split_at_checked(usize::from(*length))?;
    let mut place = None;
    while let Some(([kind, length], rest)) = elements.split_first_chunk::<2>() {
        let (element, rest) = rest.split_at_checked(usize::from(*length))?;
        place = match (kind, element) {
            (0, [reference, total, number]) => Some((u16::from(*reference), *total, *number)),
            (8, [high, low, total, number]) => Some((u16::from_be_bytes([*high, *low]), *total, *number)),
            _ => place,
        };
        elements = rest;
    }
    Some((place, body))
}

/// The place that parameters of their own say.
fn sar(message: &DeliverSm) -> Option<Place> {
    let (mut reference, mut total, mut number) = (None, None, None);
    for value in message.tlvs().iter().filter_map(|tlv| tlv.value()) {
        if let TlvValue::SarMsgRefNum(value) = value {
            reference = Some(*value);
        } else if let TlvValue::SarTotalSegments(value) = value {
            total = Some(*value);
        } else if let TlvValue::SarSegmentSeqnum(value) = value {
            number = Some(*value);
        }
    }
    Some((reference?, total?, number?))
}

fn bytes(message: &DeliverSm) -> &[u8] {
    let payload = message.tlvs().iter().find_map(|tlv| match tlv.value() {
        Some(TlvValue::MessagePayload(payload)) => Some(payload.value.as_ref()),
        _ => None,
    });
    payload.unwrap_or_else(|| message.short_message().as_ref())
}

/// Text of letters; binary messages count if they are text in UTF-8.
fn decode(coding: DataCoding, bytes: &[u8]) -> Option<String> {
    match u8::from(coding) {
        0 => Some(sms::gsm7(bytes)),
        1 | 2 | 4 => String::from_utf8(bytes.to_vec()).ok(),
        3 => Some(bytes.iter().map(|letter| char::from(*letter)).collect()),
        8 => Some(sms::ucs2(bytes)),
        _ => None,
    }
}

fn receipt(message: &DeliverSm) -> Said {
    let (mut reference, mut state) = (None, None);
    for value in message.tlvs().iter().filter_map(|tlv| tlv.value()) {
        if let TlvValue::ReceiptedMessageId(id) = value {
            reference = Some(id.as_str().to_owned());
        } else if let TlvValue::MessageState(value) = value {
            state = Some(*value);
        }
    }
    let text = String::from_utf8_lossy(bytes(message));
    let reference = reference.or_else(|| field(&text, "id:").map(str::to_owned));
    let delivered = state.map_or_else(|| outcome(field(&text, "stat:")), of_state);
    match (reference, delivered) {
        (Some(reference), Outcome::Over(delivered)) => {
            Said::Something(Heard::Receipt { reference, delivered })
        }
        (Some(_), Outcome::Underway) => Said::Nothing,
        _ => Said::Nonsense,
    }
}

enum Outcome {
    Over(bool),
    Underway,
    Unknown,
}

fn of_state(state: MessageState) -> Outcome {
    match u8::from(state) {
        0 | 1 => Outcome::Underway,
        2 | 6 => Outcome::Over(true),
        3..=5 | 8 | 9 => Outcome::Over(false),
        _ => Outcome::Unknown,
    }
}

fn outcome(word: Option<&str>) -> Outcome {
    match word {
        Some("DELIVRD" | "ACCEPTD") => Outcome::Over(true),
        Some("EXPIRED" | "DELETED" | "UNDELIV" | "REJECTD") => Outcome::Over(false),
        Some("ENROUTE") => Outcome::Underway,
        _ => Outcome::Unknown,
    }
}

/// The word behind a name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split_ascii_whitespace().find_map(|word| word.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use rusmpp::{
        tlvs::MessageDeliveryRequestTlvValue as Parameter,
        types::{AnyOctetString, COctetString, OctetString},
        values::{EsmClass, MessagePayload},
    };

    use super::*;

    fn message(class: u8, coding: u8, bytes: &[u8]) -> DeliverSm {
        DeliverSm::builder()
            .source_addr_ton(Ton::International)
            .source_addr(COctetString::from_static_slice(b"15550100\0").unwrap())
            .destination_addr(COctetString::from_static_slice(b"70470\0").unwrap())
            .esm_class(EsmClass::from(class))
            .data_coding(DataCoding::from(coding))
            .short_message(OctetString::from_slice(bytes).unwrap())
            .build()
    }

    /// A message in a parameter of its own, which has more room.
    fn payload(class: u8, bytes: &[u8]) -> DeliverSm {
        let mut message = message(class, 0, b"");
        let payload = MessagePayload::new(AnyOctetString::from_slice(bytes));
        message.set_tlvs(vec![Parameter::MessagePayload(payload)]);
        message
    }

    fn text_of(message: &DeliverSm) -> Option<String> {
        let Said::Something(Heard::Text { from, to, text }) = said(message, false) else { return None };
        assert_eq!((from.reveal(), to.as_str()), ("+15550100", "70470"));
        Some(text)
    }

    #[test]
    fn reg_2_a_text_is_read_in_every_alphabet_that_phones_write() {
        assert_eq!(text_of(&message(0, 0, b"SWH a_b \x1be")).unwrap(), "SWH a§b €");
        assert_eq!(text_of(&message(0, 1, b"SWH a_b")).unwrap(), "SWH a_b");
        assert_eq!(text_of(&message(0, 4, "SWH é".as_bytes())).unwrap(), "SWH é");
        assert_eq!(text_of(&message(0, 3, b"SWH \xe9")).unwrap(), "SWH é");
        assert_eq!(text_of(&message(0, 8, &[4, 0x16])).unwrap(), "Ж");
        assert_eq!(text_of(&message(0, 4, b"\xff\xfe")), None);
        assert_eq!(text_of(&message(0, 0xf5, b"a")), None);
    }

    #[test]
    fn reg_2_a_text_of_what_is_no_phone_is_none() {
        let mut from = message(0, 0, b"hello");
        from.source_addr_ton = Ton::Alphanumeric;
        assert_eq!(text_of(&from), None);
        from.source_addr_ton = Ton::International;
        from.source_addr = COctetString::from_static_slice(b"70471\0").unwrap();
        assert_eq!(text_of(&from), None);
    }

    #[test]
    fn reg_2_a_number_of_an_unknown_type_is_a_phones_if_it_says_so_or_the_account_does() {
        let mut from = message(0, 0, b"hello");
        from.source_addr_ton = Ton::Unknown;
        assert!(matches!(said(&from, false), Said::Nonsense), "it may be a national number");
        assert!(matches!(said(&from, true), Said::Something(Heard::Text { .. })));
        from.source_addr = COctetString::from_static_slice(b"+15550100\0").unwrap();
        assert_eq!(text_of(&from).unwrap(), "hello");
        from.source_addr_ton = Ton::National;
        assert!(matches!(said(&from, true), Said::Nonsense));
    }

    #[test]
    fn parts_are_known_by_their_header_or_their_parameters() {
        let place = |message: &DeliverSm| {
            let Said::Something(Heard::Part(part)) = said(message, false) else { return None };
            Some((part.reference, part.total, part.number, part.text))
        };
        let eight = message(0x40, 0, &[5, 0, 3, 7, 2, 1, b'a']);
        assert_eq!(place(&eight), Some((7, 2, 1, "a".to_owned())));
        let sixteen = message(0x40, 0, &[6, 8, 4, 1, 7, 2, 2, b'b']);
        assert_eq!(place(&sixteen), Some((263, 2, 2, "b".to_owned())));
        let mut sar = message(0, 0, b"c");
        sar.set_tlvs(vec![
            Parameter::SarMsgRefNum(9),
            Parameter::SarTotalSegments(3),
            Parameter::SarSegmentSeqnum(3),
        ]);
        assert_eq!(place(&sar), Some((9, 3, 3, "c".to_owned())));
        let long = [[5, 0, 3, 7, 2, 1].as_slice(), &[b'a'; 249]].concat();
        assert!(place(&payload(0x40, &long[..254])).is_some());
        assert!(
            matches!(said(&payload(0x40, &long), false), Said::Nonsense),
            "a part is no longer than a message"
        );
        for wrong in [&[5, 0, 3, 7, 2, 0, b'a'][..], &[5, 0, 3, 7, 2, 3], &[5, 0, 9, 7, 2, 1], &[9, 0], &[]] {
            assert!(matches!(said(&message(0x40, 0, wrong), false), Said::Nonsense), "{wrong:?}");
        }
    }

    #[test]
    fn a_receipt_says_what_became_of_which_text() {
        let receipt = |message: &DeliverSm| {
            let Said::Something(Heard::Receipt { reference, delivered }) = said(message, false) else {
                return None;
            };
            Some((reference, delivered))
        };
        let classic = |stat: &str| {
            let text = format!(
                "id:m-1 sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:{stat} err:000 text:"
            );
            message(4, 0, text.as_bytes())
        };
        assert_eq!(receipt(&classic("DELIVRD")), Some(("m-1".to_owned(), true)));
        assert_eq!(receipt(&classic("UNDELIV")), Some(("m-1".to_owned(), false)));
        assert!(matches!(said(&classic("ENROUTE"), false), Said::Nothing));
        assert!(matches!(said(&classic("?"), false), Said::Nonsense));
        let mut parameters = message(4, 0, b"");
        parameters.set_tlvs(vec![
            Parameter::ReceiptedMessageId(COctetString::from_static_slice(b"m-2\0").unwrap()),
            Parameter::MessageState(MessageState::Expired),
        ]);
        assert_eq!(receipt(&parameters), Some(("m-2".to_owned(), false)));
    }
}
