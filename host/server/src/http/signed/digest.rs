//! The digest of a body (RFC 9530).

use axum::http::HeaderMap;
use sfv::{BareItem, Dictionary, Item, ListEntry, Parser};
use sha2::{Digest as _, Sha256, Sha512};
use switchhook_core::http_signature::CONTENT_DIGEST;
use switchhook_protocol::error::ErrorCode;

use super::parts::field;
use crate::http::problem::Problem;

/// Checks that the header has a digest of this body; one by an algorithm that is known and safe, and
/// every one that is known.
pub(super) fn check(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    let header = field(headers, CONTENT_DIGEST).ok_or_else(|| incomplete("it is missing"))?;
    let digests: Dictionary = Parser::new(&header).parse().map_err(|error| incomplete(&error.to_string()))?;
    let known: Vec<bool> =
        digests.iter().filter_map(|(name, digest)| is_of(name.as_str(), digest, body)).collect();
    if known.is_empty() {
        return Err(incomplete("it has neither sha-256 nor sha-512"));
    }
    if known.contains(&false) {
        return Err(Problem::new(ErrorCode::BadSignature, "the body is not that of its Content-Digest"));
    }
    Ok(())
}

/// Whether a digest is that of the body; none if its algorithm is not known, or not safe any more.
fn is_of(algorithm: &str, digest: &ListEntry, body: &[u8]) -> Option<bool> {
    let computed = match algorithm {
        "sha-256" => Sha256::digest(body).to_vec(),
        "sha-512" => Sha512::digest(body).to_vec(),
        _ => return None,
    };
    let ListEntry::Item(Item { bare_item: BareItem::ByteSequence(said), .. }) = digest else {
        return Some(false);
    };
    Some(*said == computed)
}

fn incomplete(why: &str) -> Problem {
    Problem::new(ErrorCode::SignatureIncomplete, format!("Content-Digest: {why}"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// RFC 9530 §B.1 and §D.
    const BODY: &[u8] = b"{\"hello\": \"world\"}\n";
    const SHA_256: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";

    #[test]
    fn the_standards_digest_is_that_of_its_body_alone() {
        assert_eq!(checked(SHA_256, BODY), None);
        assert_eq!(checked(&format!("md5=:AAAA:, {SHA_256}"), BODY), None);
        assert_eq!(checked(SHA_256, b"{\"hello\": \"World\"}\n"), Some(ErrorCode::BadSignature));
        let other_beside = format!("{SHA_256}, sha-512=:AAAA:");
        assert_eq!(checked(&other_beside, BODY), Some(ErrorCode::BadSignature));
        assert_eq!(checked("sha-256=1", BODY), Some(ErrorCode::BadSignature));
        for useless in ["md5=:AAAA:", "", "sha-256=:not base64", "=;"] {
            assert_eq!(checked(useless, BODY), Some(ErrorCode::SignatureIncomplete), "{useless}");
        }
        let none = check(&HeaderMap::new(), BODY).unwrap_err();
        assert_eq!(none.code(), ErrorCode::SignatureIncomplete);
    }

    fn checked(header: &str, body: &[u8]) -> Option<ErrorCode> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_DIGEST, HeaderValue::from_str(header).unwrap());
        check(&headers, body).err().map(|problem| problem.code())
    }
}
