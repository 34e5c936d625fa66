//! Nonces that need no memory: a time, and an MAC that binds it to the client's address.
//!
//! A challenge is given to everybody who asks, so that a table of nonces would be a stranger's to
//! fill. The relay host recognises its own by computing it again. Each begins with what says that the
//! server takes other password algorithms than MD5 (RFC 8489 §9.2).

use std::net::SocketAddr;

use data_encoding::BASE64URL_NOPAD;
use switchhook_core::seal::KeyRing;
use switchhook_protocol::time::Timestamp;

use crate::limits;

const LABEL: &str = "relay-nonce";
const MAC: usize = 16;

/// "obMatJos2", and 24 bits of which the lowest says: password algorithms (RFC 8489 §9.2, §18.1).
const COOKIE: &str = "obMatJos2AAAB";

pub(crate) fn nonce(keys: &KeyRing, client: SocketAddr, now: Timestamp) -> String {
    let made = now.as_millis().to_be_bytes();
    let mut nonce = made.to_vec();
    nonce.extend_from_slice(&mac(keys, client, made));
    let mut text = COOKIE.to_owned();
    BASE64URL_NOPAD.encode_append(&nonce, &mut text);
    text
}

/// Whether the nonce was made here for this client, and not too long ago.
pub(crate) fn is_fresh(keys: &KeyRing, nonce: &[u8], client: SocketAddr, now: Timestamp) -> bool {
    let Some(made) = nonce.strip_prefix(COOKIE.as_bytes()) else { return false };
    let Ok(bytes) = BASE64URL_NOPAD.decode(made) else { return false };
    let Some((made, shown)) = bytes.split_first_chunk() else { return false };
    let age = Timestamp::from_millis(u64::from_be_bytes(*made)).until(now);
    // No secret is compared here: whoever wants a valid nonce only has to ask.
    shown == mac(keys, client, *made) && age < limits::NONCE_LIFE
}

fn mac(keys: &KeyRing, client: SocketAddr, made: [u8; 8]) -> [u8; MAC] {
    let (_, full) = keys.mac(LABEL, &[&made, client.to_string().as_bytes()]);
    let mut mac = [0; MAC];
    mac.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    mac
}

#[cfg(test)]
mod tests {
    use switchhook_core::seal::{RootKeys, Scope};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn a_nonce_serves_its_client_for_its_time() {
        let keys = RootKeys::new([1; 32], []).ring(Scope::Relay(&"r".parse().unwrap()));
        let client = "198.51.100.7:4000".parse().unwrap();
        let made = nonce(&keys, client, NOW);
        assert!(is_fresh(&keys, made.as_bytes(), client, NOW));
        assert!(!is_fresh(&keys, made.as_bytes(), client, NOW.after(limits::NONCE_LIFE)));
        assert!(!is_fresh(&keys, made.as_bytes(), "198.51.100.7:4001".parse().unwrap(), NOW));
        assert!(!is_fresh(&keys, b"f//499k954d6OL34oL9FSTvy64sA", client, NOW));
        let without_cookie = made.strip_prefix("obMatJos2AAAB").unwrap();
        assert!(!is_fresh(&keys, without_cookie.as_bytes(), client, NOW), "features are not bid down");
    }
}
