//! What the host gives out sealed, and takes back from whoever has it.

use std::{fmt::Debug, str};

use data_encoding::BASE64URL_NOPAD;
use rand::{SeedableRng as _, rngs::StdRng};
use serde::{Serialize, de::DeserializeOwned};
use switchhook_core::{
    connection_key::ConnectionKey,
    exchange::ExchangeTicket,
    network::InviterSide,
    observation::Observation,
    registration::password,
    relay_token::{self, RelayToken},
    seal::{KeyRing, Purpose},
    ticket::{Alias, SessionTicket},
};

use crate::keys::cdx_keys;

/// What stands behind a seal may be of an older version: whatever opens is sealed anew and opens as the same. Without
/// the keys nothing opens, and keys that can be read are told on in the very words.
pub fn sealed(bytes: &[u8]) -> bool {
    let keys = cdx_keys();
    from_outside(&keys, bytes);
    let inside = [
        opens_again::<SessionTicket>(&keys, Purpose::SessionTicket, bytes),
        opens_again::<Alias>(&keys, Purpose::Alias, bytes),
        opens_again::<InviterSide>(&keys, Purpose::PeerConnectionData, bytes),
        opens_again::<Observation>(&keys, Purpose::Observation, bytes),
        opens_again::<ExchangeTicket>(&keys, Purpose::ExchangeTicket, bytes),
        opens_again::<RelayToken>(&keys, Purpose::RelayToken, bytes),
        opens_again::<Shown<ConnectionKey>>(&keys, Purpose::ConnectionKey, bytes),
    ];
    inside.contains(&true)
}

fn from_outside(keys: &KeyRing, bytes: &[u8]) {
    assert!(keys.open_bytes(Purpose::Alias, bytes).is_err(), "sealed by nobody");
    let Ok(text) = str::from_utf8(bytes) else { return };
    assert!(keys.open::<Alias>(Purpose::Alias, text).is_err(), "sealed by nobody");
    if let Ok(read) = KeyRing::read(text) {
        assert_eq!(read.reveal().as_str(), text);
    }
    if let Some(password) = relay_token::password_of(keys, text) {
        assert_ne!(password, text);
    }
    let attempt = "attempt".parse().expect("an id");
    match password::fill(keys, &attempt, text) {
        Ok(filled) => {
            assert!(!password::names_one(text) && filled.as_str() == text, "a password of nobody's");
        }
        Err(_) => assert!(password::names_one(text)),
    }
}

fn opens_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    keys: &KeyRing,
    purpose: Purpose,
    plain: &[u8],
) -> bool {
    let mut rng = StdRng::seed_from_u64(1);
    let sealed = BASE64URL_NOPAD.encode(&keys.seal_bytes(purpose, plain, &mut rng));
    let Ok(opened) = keys.open::<T>(purpose, &sealed) else { return false };
    let anew = keys.seal(purpose, &opened, &mut rng);
    assert_eq!(keys.open::<T>(purpose, &anew).as_ref(), Ok(&opened));
    true
}

/// What is not to be printed, for a test that prints what differs.
#[derive(PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct Shown<T>(T);

impl<T> Debug for Shown<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}
