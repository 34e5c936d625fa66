//! Headers of requests.

use std::{net::IpAddr, str};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use switchhook_core::http_signature::{LIFE, NONCE};
use switchhook_protocol::{error::ErrorCode, time::Timestamp};

use crate::{
    http::signed::headers,
    listen::forwarded::Proxies,
    settings::{Forwarding, Http},
};

/// The lines are `Signature-Input` and `Signature`: parameters in their strict form are read as the same again, and
/// what may count has a nonce and lasts no longer than it may.
///
/// # Panics
///
/// When a rule is broken.
pub fn http_signature(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let headers = [headers::SIGNATURE_INPUT, headers::SIGNATURE].map(|name| (name, lines.next()));
    let read = match headers::signature(&map(headers)) {
        Ok(read) => read,
        Err(refused) => {
            assert_eq!(refused.code(), ErrorCode::SignatureIncomplete);
            return false;
        }
    };
    assert!(read.signature.len() + read.params.len() <= 2 * bytes.len() + 16, "{read:?}");
    let strict = format!("sig={}", read.params);
    let again = headers::signature(&map([
        (headers::SIGNATURE_INPUT, Some(strict.as_bytes())),
        (headers::SIGNATURE, Some(b"sig=::")),
    ]));
    assert!(
        again.is_ok_and(|again| again.params == read.params && again.covered == read.covered),
        "{strict}"
    );
    let now = Timestamp::from_millis(read.created.unwrap_or_default().saturating_mul(1_000));
    if let Ok(claim) = read.claim(now) {
        assert!(NONCE.contains(&claim.nonce.len()) && now.until(claim.expires) <= LIFE);
    }
    true
}

/// The first line is who connects, each other one a header of proxies: the client is who connects, or an address
/// that a proxy of the operator's names. True if it is another one.
///
/// # Panics
///
/// When a rule is broken.
pub fn forwarded(bytes: &[u8]) -> bool {
    let Some((peer, lines)) = read(bytes) else { return false };
    [Forwarding::XForwardedFor, Forwarding::Forwarded].into_iter().any(|forwarding| {
        let proxies = ["10.0.0.0/8", "fd00::/8"].into_iter().filter_map(|it| it.to_owned().try_into().ok());
        let settings = Http { proxies: proxies.collect(), forwarding, ..Http::default() };
        let proxies = Proxies::new(&settings);
        let headers = map(lines.iter().map(|line| (forwarding.header(), Some(line.as_bytes()))));
        let client = proxies.client(peer, &headers);
        let is_named = lines.iter().any(|line| names(line, client));
        assert!(client == peer || (proxies.has(peer) && is_named), "{client} behind {peer}");
        client != peer
    })
}

fn read(bytes: &[u8]) -> Option<(IpAddr, Vec<&str>)> {
    let mut lines = str::from_utf8(bytes).ok()?.lines();
    Some((lines.next()?.parse().ok()?, lines.collect()))
}

/// Whether an address stands in a line, in any of its spellings, with a port or without.
fn names(line: &str, addr: IpAddr) -> bool {
    let word = |c: char| !(c.is_ascii_hexdigit() || matches!(c, ':' | '.'));
    let bare = |word: &str| word.parse() == Ok(addr);
    let with_port = |word: &str| word.rsplit_once(':').is_some_and(|(addr, _)| bare(addr));
    line.split(word).any(|word| bare(word) || with_port(word))
}

fn map<'a>(lines: impl IntoIterator<Item = (&'static str, Option<&'a [u8]>)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, line) in lines {
        if let Some(Ok(value)) = line.map(HeaderValue::from_bytes) {
            map.append(HeaderName::from_static(name), value);
        }
    }
    map
}
