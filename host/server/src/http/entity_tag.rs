//! Entity tags: which state of a thing is there, and which one is meant (RFC 9110 §8.8.3).
//!
//! Whoever has a state asks whether it is still there (`If-None-Match`), or has a change count for this state and
//! no other (`If-Match`).

use axum::http::{HeaderMap, HeaderName, header};
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use switchhook_protocol::error::ErrorCode;
use utoipa::IntoParams;

/// The tag of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntityTag(String);

impl EntityTag {
    /// Of a state whose changes are counted.
    pub(crate) fn of_version(version: u64) -> Self {
        Self(format!("\"{version}\""))
    }

    /// Of a state by what is written of it.
    pub(crate) fn of(state: &impl Serialize) -> Self {
        let json = serde_json::to_vec(state).unwrap_or_default();
        Self(format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(json))))
    }

    /// The header that tells it.
    pub(crate) fn header(self) -> [(HeaderName, String); 1] {
        [(header::ETAG, self.0)]
    }

    /// Whether the client has this state; a weak tag of it says so too (RFC 9110 §13.1.2).
    pub(crate) fn is_known(&self, headers: &HeaderMap) -> bool {
        let known = listed(headers, header::IF_NONE_MATCH).unwrap_or_default();
        each(&known).any(|tag| self.is(tag.trim_start_matches("W/")))
    }

    fn is(&self, tag: &str) -> bool {
        tag == self.0 || tag == "*"
    }
}

/// The state that a change is meant for.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfMatch {
    /// The `ETag` of what is to be replaced: if it has changed meanwhile, nothing is.
    #[param(rename = "If-Match")]
    tags: Option<String>,
}

impl IfMatch {
    /// As a request says it.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self { tags: listed(headers, header::IF_MATCH) }
    }

    /// Refuses a change that is meant for another state; a weak tag means none (RFC 9110 §13.1.1).
    pub(crate) fn check(&self, there: &EntityTag) -> Result<(), ErrorCode> {
        let meant = self.tags.as_ref().is_none_or(|tags| each(tags).any(|tag| there.is(tag)));
        if meant { Ok(()) } else { Err(ErrorCode::Changed) }
    }
}

/// A header's list, on however many lines it came; none without the header.
fn listed(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

fn each(tags: &str) -> impl Iterator<Item = &str> {
    tags.split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn a_client_has_a_state_whose_tag_it_names_on_any_line_weak_or_not() {
        let known = |lines: &[&'static str]| {
            EntityTag::of_version(7).is_known(&headers(&header::IF_NONE_MATCH, lines))
        };
        assert!(
            known(&["\"7\""]) && known(&["\"6\", W/\"7\""]) && known(&["\"6\"", "\"7\""]) && known(&["*"])
        );
        assert!(!known(&[]) && !known(&["\"6\""]) && !known(&["7"]));
    }

    #[test]
    fn a_change_counts_for_the_state_that_it_is_meant_for() {
        let there = EntityTag::of(&["a", "b"]);
        let [(_, written)] = there.clone().header();
        let check = |tags: Option<&str>| IfMatch { tags: tags.map(str::to_owned) }.check(&there);

        for meant in [None, Some("*"), Some(&*written), Some(&*format!("\"6\", {written}"))] {
            assert_eq!(check(meant), Ok(()), "{meant:?}");
        }
        let EntityTag(other) = EntityTag::of(&["b", "a"]);
        for meant in ["", &*other, &*format!("W/{written}")] {
            assert_eq!(check(Some(meant)), Err(ErrorCode::Changed), "{meant}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_read_means_no_state() {
        let unreadable = HeaderValue::from_bytes(b"\xff").unwrap();
        let meant = IfMatch::of(&HeaderMap::from_iter([(header::IF_MATCH, unreadable)]));
        assert_eq!(meant.check(&EntityTag::of_version(1)), Err(ErrorCode::Changed));
        assert_eq!(IfMatch::of(&HeaderMap::new()).check(&EntityTag::of_version(1)), Ok(()));
    }
}
