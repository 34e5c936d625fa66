//! E-mail addresses as identifiers: one spelling for each, so that comparing bytes compares addresses.
//!
//! The domain is written as DNS has it: mapped and encoded by UTS 46 (IDNA), in small letters, each label of one
//! script or of scripts that are commonly written together (UTS 39, "highly restrictive"): `pаypal` with a Cyrillic
//! letter is nobody's honest name. The local part is its own server's affair: normalised (NFC), and from then on
//! compared byte for byte. Quoted local parts and addresses in place of a domain are refused.

use alloc::string::String;

use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::{MixedScript as _, RestrictionLevel, RestrictionLevelDetection as _};

/// Longest local part, in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// The one spelling of an address; none if the text is no address.
pub(super) fn canonical(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let mut address: String = local.nfc().collect();
    if !is_local(&address) {
        return None;
    }
    let domain = canonical_domain(domain)?;
    address.push('@');
    address.push_str(&domain);
    Some(address)
}

/// Words of RFC 5322's `atext` and of what RFC 6532 adds to it, with dots between them.
fn is_local(local: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.chars().all(is_atext);
    local.len() <= MAX_LOCAL && local.split('.').all(word)
}

fn is_atext(c: char) -> bool {
    let ascii = c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    ascii || (!c.is_ascii() && !c.is_control() && !c.is_whitespace() && !is_invisible(c))
}

/// What changes how a text looks, and is not seen itself: marks of direction, joiners, a byte order mark.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn canonical_domain(domain: &str) -> Option<String> {
    let rules = Uts46::new();
    let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    let ascii = rules.to_ascii(domain.as_bytes(), deny, hyphens, DnsLength::Verify).ok()?;
    let (shown, valid) = rules.to_unicode(ascii.as_bytes(), deny, hyphens);
    (valid.is_ok() && shown.split('.').all(is_of_one_script)).then(|| ascii.into_owned())
}

fn is_of_one_script(label: &str) -> bool {
    label.is_single_script() || label.check_restriction_level(RestrictionLevel::HighlyRestrictive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_7_a_domain_is_written_as_dns_has_it() {
        for (text, address) in [
            ("bob@example.org", "bob@example.org"),
            ("bob@EXAMPLE.Org", "bob@example.org"),
            ("bob@bücher.example", "bob@xn--bcher-kva.example"),
            ("bob@BÜCHER.example", "bob@xn--bcher-kva.example"),
            ("bob@xn--bcher-kva.example", "bob@xn--bcher-kva.example"),
            ("bob@例え。テスト", "bob@xn--r8jz45g.xn--zckzah"),
            ("bob@my-bücher.example", "bob@xn--my-bcher-95a.example"),
            ("bob@東京tokyo.example", "bob@xn--tokyo-w91hq39l.example"),
        ] {
            let spelled = canonical(text).unwrap();
            assert_eq!(spelled, address, "{text}");
            assert_eq!(canonical(&spelled), Some(spelled), "{text}");
        }
    }

    #[test]
    fn reg_7_a_domain_that_idna_or_a_script_forbids_is_refused() {
        for wrong in [
            "bob@",
            "bob@.",
            "bob@example..org",
            "bob@example.org.",
            "bob@-example.org",
            "bob@exa_mple.org",
            "bob@exa mple.org",
            "bob@[192.0.2.1]",
            "bob@xn--a",
            // A Cyrillic а among Latin letters, as it is written and as DNS has it; a Greek ο.
            "bob@pаypal.example",
            "bob@xn--pypal-4ve.example",
            "bob@gοogle.example",
            &alloc::format!("bob@{}.example", "x".repeat(64)),
        ] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn reg_7_a_local_part_is_compared_byte_for_byte_after_normalising() {
        assert_ne!(canonical("Bob@example.org"), canonical("bob@example.org"));
        assert_eq!(canonical("jose\u{301}@example.org"), canonical("jos\u{e9}@example.org"));
        assert_ne!(canonical("bob+a@example.org"), canonical("bob@example.org"));
    }

    #[test]
    fn reg_7_a_local_part_is_of_words_and_dots() {
        for wrong in [
            "@example.org",
            ".bob@example.org",
            "bo..b@example.org",
            "\"bob\"@example.org",
            "bob,alice@example.org",
            "bob<alice@example.org",
            "a@b@example.org",
            "bob\u{202e}@example.org",
            "bob\r\nBcc:alice@example.org",
            &alloc::format!("{}@example.org", "x".repeat(65)),
        ] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
        assert!(canonical("o'neil+x/y=z@example.org").is_some());
    }
}
