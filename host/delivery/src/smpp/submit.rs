//! A text as `submit_sm`, one for each part.
//!
//! Parts are joined by a user data header with a reference of 8 bits (3GPP TS 23.040 §9.2.3.24.1). The
//! default alphabet goes as the SMSC's own (data coding 0), a septet in each byte.

use rand::RngExt as _;
use rusmpp::{
    pdus::SubmitSm,
    types::{COctetString, OctetString},
    values::{DataCoding, EsmClass, Npi, RegisteredDelivery, Ton},
};
use switchhook_core::{
    registration::perform::OutgoingText,
    sms::{Alphabet, Parts, split},
};

/// `esm_class` of a plain message, and of one with a header.
const PLAIN: u8 = 0;
const WITH_HEADER: u8 = 0x40;

/// `registered_delivery`: no receipt, or one on success and on failure.
const NO_RECEIPT: u8 = 0;
const RECEIPT: u8 = 1;

/// The parts of a text from this number; the last one asks for a receipt.
pub(super) fn parts(from: &str, text: &OutgoingText) -> Vec<SubmitSm> {
    let Parts { alphabet, parts } = split(&text.text);
    let reference: u8 = rand::rng().random();
    let total = u8::try_from(parts.len()).unwrap_or(u8::MAX);
    let joined = |number: u8, part: Vec<u8>| {
        let header = [5, 0, 3, reference, total, number];
        if total > 1 { [header.as_slice(), &part].concat() } else { part }
    };
    let numbered = (1..=total).zip(parts);
    let submit = |(number, part)| {
        let (source_ton, source_npi, source) = address(from);
        let (to_ton, to_npi, to) = address(text.to.reveal());
        SubmitSm::builder()
            .source_addr_ton(source_ton)
            .source_addr_npi(source_npi)
            .source_addr(source)
            .dest_addr_ton(to_ton)
            .dest_addr_npi(to_npi)
            .destination_addr(to)
            .esm_class(EsmClass::from(if total > 1 { WITH_HEADER } else { PLAIN }))
            .registered_delivery(RegisteredDelivery::from(if number == total { RECEIPT } else { NO_RECEIPT }))
            .data_coding(match alphabet {
                Alphabet::Gsm7 => DataCoding::McSpecific,
                Alphabet::Ucs2 => DataCoding::Ucs2,
            })
            .short_message(OctetString::from_vec(joined(number, part)).unwrap_or_default())
            .build()
    };
    numbered.map(submit).collect()
}

/// A number as SMPP has it: without its plus, and said of which kind it is.
fn address(number: &str) -> (Ton, Npi, COctetString<1, 21>) {
    let digits = |digits: &str| COctetString::from_string(digits.to_owned()).unwrap_or_default();
    match number.strip_prefix('+') {
        Some(international) => (Ton::International, Npi::Isdn, digits(international)),
        None => (Ton::NetworkSpecific, Npi::Unknown, digits(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submitted(text: &str) -> Vec<SubmitSm> {
        let text = OutgoingText { to: "+15550100".parse().unwrap(), text: text.to_owned(), signature: None };
        parts("70470", &text)
    }

    #[test]
    fn a_short_text_is_one_message_with_a_receipt() {
        let [submit] = &submitted("hello €")[..] else { panic!("more than one") };
        assert_eq!(
            (submit.dest_addr_ton, submit.destination_addr.as_str()),
            (Ton::International, "15550100")
        );
        assert_eq!((submit.source_addr_ton, submit.source_addr.as_str()), (Ton::NetworkSpecific, "70470"));
        assert_eq!(submit.short_message().as_ref(), b"hello \x1be");
        assert_eq!((u8::from(submit.esm_class), u8::from(submit.registered_delivery)), (0, 1));
        assert_eq!(u8::from(submit.data_coding), 0);
    }

    #[test]
    fn a_long_text_is_joined_by_headers_and_only_its_end_asks_for_a_receipt() {
        let submits = submitted(&"ж".repeat(100));
        let headers: Vec<&[u8]> = submits.iter().map(|part| &part.short_message().as_ref()[..6]).collect();
        let reference = headers[0][3];
        assert_eq!(headers, [[5, 0, 3, reference, 2, 1], [5, 0, 3, reference, 2, 2]]);
        assert!(
            submits.iter().all(|part| u8::from(part.esm_class) == 0x40 && u8::from(part.data_coding) == 8)
        );
        let receipts: Vec<u8> = submits.iter().map(|part| part.registered_delivery.into()).collect();
        assert_eq!(receipts, [0, 1]);
    }
}
