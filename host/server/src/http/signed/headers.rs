//! The headers `Signature-Input` and `Signature` (RFC 9421 §4).

use axum::http::HeaderMap;
use sfv::{BareItem, Dictionary, FieldType as _, InnerList, Item, ListEntry, Parser};
use switchhook_core::http_signature::HttpSignature;
use switchhook_protocol::error::ErrorCode;

use super::parts::field;
use crate::http::problem::Problem;

pub(crate) const SIGNATURE: &str = "signature";
pub(crate) const SIGNATURE_INPUT: &str = "signature-input";

/// The one signature of a request.
pub(crate) fn signature(headers: &HeaderMap) -> Result<HttpSignature, Problem> {
    let (label, input) = only(dictionary(headers, SIGNATURE_INPUT)?, SIGNATURE_INPUT)?;
    let (signed, signature) = only(dictionary(headers, SIGNATURE)?, SIGNATURE)?;
    let ListEntry::InnerList(input) = input else {
        return Err(incomplete(SIGNATURE_INPUT, "it is no list of parts"));
    };
    let ListEntry::Item(Item { bare_item: BareItem::ByteSequence(signature), .. }) = signature else {
        return Err(incomplete(SIGNATURE, "it is no byte sequence"));
    };
    if label != signed {
        return Err(incomplete(SIGNATURE, "its label is not that of Signature-Input"));
    }
    Ok(HttpSignature {
        covered: input.items.iter().map(covered).collect(),
        created: seconds(&input, "created"),
        expires: seconds(&input, "expires"),
        nonce: text(&input, "nonce"),
        key: text(&input, "keyid"),
        algorithm: text(&input, "alg"),
        params: serialized(input),
        signature,
    })
}

fn dictionary(headers: &HeaderMap, name: &str) -> Result<Dictionary, Problem> {
    let header = field(headers, name).ok_or_else(|| incomplete(name, "it is missing"))?;
    Parser::new(&header).parse().map_err(|error| incomplete(name, &error.to_string()))
}

fn only(dictionary: Dictionary, name: &str) -> Result<(String, ListEntry), Problem> {
    let mut members = dictionary.into_iter();
    match (members.next(), members.next()) {
        (Some((label, member)), None) => Ok((label.as_str().to_owned(), member)),
        _ => Err(incomplete(name, "it has not one signature")),
    }
}

/// The name of a covered part; one with parameters stays as it is, and so is none that is known.
fn covered(item: &Item) -> String {
    let name = item.bare_item.as_string().filter(|_| item.params.is_empty());
    name.map_or_else(|| item.serialize(), |name| name.as_str().to_owned())
}

fn seconds(input: &InnerList, name: &str) -> Option<u64> {
    let (_, value) = input.params.iter().find(|(key, _)| key.as_str() == name)?;
    let seconds = i64::from(value.as_integer()?);
    u64::try_from(seconds).ok()
}

fn text(input: &InnerList, name: &str) -> Option<String> {
    let (_, value) = input.params.iter().find(|(key, _)| key.as_str() == name)?;
    value.as_string().map(|text| text.as_str().to_owned())
}

/// The list and its parameters in their strict form (RFC 9421 §2.3), which is that of whoever signed it.
fn serialized(input: InnerList) -> String {
    vec![ListEntry::InnerList(input)].serialize().unwrap_or_default()
}

fn incomplete(name: &str, why: &str) -> Problem {
    Problem::new(ErrorCode::SignatureIncomplete, format!("{name}: {why}"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_parameters_keep_their_order_and_lose_what_is_not_of_the_strict_form() {
        let input = r#"sig1=( "@method"   "x-part";sf );keyid="phone";  created=7;expires=9;nonce="n";alg="ed25519";x"#;

        let read = read(input, "sig1=:AQI=:").unwrap();

        assert_eq!(read.covered, ["@method", r#""x-part";sf"#]);
        assert_eq!(
            read.params,
            r#"("@method" "x-part";sf);keyid="phone";created=7;expires=9;nonce="n";alg="ed25519";x"#
        );
        assert_eq!((read.created, read.expires), (Some(7), Some(9)));
        assert_eq!((read.nonce.as_deref(), read.key.as_deref()), (Some("n"), Some("phone")));
        assert_eq!((read.algorithm.as_deref(), read.signature), (Some("ed25519"), vec![1, 2]));
    }

    #[test]
    fn what_is_not_one_signature_with_its_input_is_incomplete() {
        for (input, signature) in [
            ("", "sig=:AA==:"),
            ("sig=()", ""),
            ("sig=()", "sig=1"),
            ("sig=1", "sig=:AA==:"),
            ("one=()", "two=:AA==:"),
            ("one=(), two=()", "one=:AA==:, two=:AA==:"),
            ("sig=(", "sig=:AA==:"),
            ("sig=()", "sig=:A"),
        ] {
            let refused = read(input, signature).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::SignatureIncomplete, "{input} {signature}");
        }
        let missing = signature(&HeaderMap::new()).unwrap_err();
        assert_eq!(missing.code(), ErrorCode::SignatureIncomplete);
        let wrong = read(r#"sig=();created=-1;expires="9""#, "sig=:AA==:").unwrap();
        assert_eq!((wrong.created, wrong.expires), (None, None));
    }

    fn read(input: &str, signature: &str) -> Result<HttpSignature, Problem> {
        super::signature(&headers(input, signature))
    }

    fn headers(input: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE_INPUT, HeaderValue::from_str(input).unwrap());
        headers.insert(SIGNATURE, HeaderValue::from_str(signature).unwrap());
        headers
    }
}
