//! How a text travels as short messages: alphabet, parts, and so what it costs (3GPP TS 23.038, 23.040).
//!
//! A text of the default alphabet has 160 septets in one message, characters of the extension table two
//! each; any other has 70 UTF-16 units. A longer one is joined of parts that each give up six bytes to say
//! to which message they belong: 153 septets or 67 units. Neither an escape nor a surrogate is parted from
//! what it belongs to.

use alloc::{string::String, vec::Vec};

/// The letters that a text is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// The GSM default alphabet with its extension, a byte for each septet.
    Gsm7,
    /// UTF-16, big-endian.
    Ucs2,
}

/// A text as short messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The letters.
    pub alphabet: Alphabet,
    /// The bytes of each message, without the header that joins them.
    pub parts: Vec<Vec<u8>>,
}

/// Makes short messages of a text; one at least.
pub fn split(text: &str) -> Parts {
    let gsm7: Option<Vec<Vec<u8>>> = text.chars().map(septets).collect();
    let (alphabet, letters, (alone, joined)) = match gsm7 {
        Some(letters) => (Alphabet::Gsm7, letters, (160, 153)),
        None => (Alphabet::Ucs2, text.chars().map(units).collect(), (140, 134)),
    };
    let whole: usize = letters.iter().map(Vec::len).sum();
    let room = if whole <= alone { alone } else { joined };
    let mut parts = Vec::from([Vec::new()]);
    for letter in letters {
        match parts.last_mut() {
            Some(part) if part.len() + letter.len() <= room => part.extend(letter),
            _ => parts.push(letter),
        }
    }
    Parts { alphabet, parts }
}

/// The text of a part in the default alphabet; what the alphabet does not have is a question mark.
pub fn gsm7(septets: &[u8]) -> String {
    let mut septets = septets.iter().copied();
    let mut text = String::new();
    while let Some(septet) = septets.next() {
        let letter = match septet {
            ESCAPE => septets.next().and_then(|code| extension(code).or_else(|| basic(code))),
            code => basic(code),
        };
        text.push(letter.unwrap_or('?'));
    }
    text
}

/// The text of a part in UTF-16; what is none is a replacement character.
pub fn ucs2(bytes: &[u8]) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair)))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// The default alphabet in the order of its codes; the escape stands for itself (TS 23.038 §6.2.1).
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table, behind an escape (TS 23.038 §6.2.1.1).
const EXTENSION: [(char, u8); 10] = [
    ('\u{c}', 0x0a),
    ('^', 0x14),
    ('{', 0x28),
    ('}', 0x29),
    ('\\', 0x2f),
    ('[', 0x3c),
    ('~', 0x3d),
    (']', 0x3e),
    ('|', 0x40),
    ('€', 0x65),
];

const ESCAPE: u8 = 0x1b;

/// A letter's septets; none if the alphabet does not have it.
fn septets(letter: char) -> Option<Vec<u8>> {
    if let Some((_, code)) = EXTENSION.iter().find(|(extended, _)| *extended == letter) {
        return Some(Vec::from([ESCAPE, *code]));
    }
    let code = BASIC.chars().position(|basic| basic == letter && letter != '\u{1b}')?;
    u8::try_from(code).ok().map(|code| Vec::from([code]))
}

fn basic(code: u8) -> Option<char> {
    BASIC.chars().nth(code.into()).filter(|_| code != ESCAPE)
}

fn extension(code: u8) -> Option<char> {
    EXTENSION.iter().find(|(_, other)| *other == code).map(|(letter, _)| *letter)
}

fn units(letter: char) -> Vec<u8> {
    letter.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str) -> (Alphabet, Vec<usize>) {
        let Parts { alphabet, parts } = split(text);
        (alphabet, parts.iter().map(Vec::len).collect())
    }

    #[test]
    fn a_text_of_the_default_alphabet_has_160_septets_and_each_part_of_a_longer_one_153() {
        assert_eq!(lengths(""), (Alphabet::Gsm7, [0].into()));
        assert_eq!(lengths(&"a".repeat(160)), (Alphabet::Gsm7, [160].into()));
        assert_eq!(lengths(&"a".repeat(161)), (Alphabet::Gsm7, [153, 8].into()));
        assert_eq!(lengths(&"€".repeat(81)), (Alphabet::Gsm7, [152, 10].into()));
    }

    #[test]
    fn any_other_text_has_70_units_and_each_part_of_a_longer_one_67() {
        assert_eq!(lengths(&"ж".repeat(70)), (Alphabet::Ucs2, [140].into()));
        assert_eq!(lengths(&"ж".repeat(71)), (Alphabet::Ucs2, [134, 8].into()));
        assert_eq!(lengths(&"😀".repeat(36)), (Alphabet::Ucs2, [132, 12].into()));
    }

    #[test]
    fn a_text_comes_back_as_it_was() {
        assert_eq!(BASIC.chars().count(), 128);
        let all: String = BASIC.chars().filter(|letter| *letter != '\u{1b}').collect();
        for text in [all.as_str(), "[€] {~} \\^|", "123456 is your code."] {
            let Parts { alphabet, parts } = split(text);
            assert_eq!((alphabet, gsm7(&parts.concat())), (Alphabet::Gsm7, text.into()));
        }
        let text = "Ваш код 123 😀";
        assert_eq!(ucs2(&split(text).parts.concat()), text);
    }

    #[test]
    fn what_is_no_text_is_read_without_harm() {
        assert_eq!(gsm7(&[0x1b, 0x00, 0xff, 0x1b]), "@??");
        assert_eq!(ucs2(&[0xd8, 0x00, 0x00]), "\u{fffd}");
    }
}
