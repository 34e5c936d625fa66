//! What a relay host apart and the nodes tell each other.

use serde::{Serialize, de::DeserializeOwned};
use switchhook_core::relay_host::Said;

use crate::relay_hosts::told::{Beat, Gone, Orders, Relayed};

/// Whatever can be read is written so that it reads back as the same; keys that can be read are the same when they
/// are told on; and a host that is taken has one address, or one of each family. True if it was orders with keys, or
/// a beat of such a host.
///
/// # Panics
///
/// When a rule is broken.
pub fn relay_host(bytes: &[u8]) -> bool {
    reads_back::<Relayed>(bytes);
    reads_back::<Gone>(bytes);
    let keys = reads_back::<Orders>(bytes).and_then(|orders| orders.keys().ok().zip(Some(orders)));
    if let Some((keys, orders)) = &keys {
        let told =
            Orders::new((orders.host.clone(), &orders.realm), keys, (orders.peers.clone(), orders.as_of));
        assert_eq!(json(&told), json(orders), "other keys");
    }
    let said = reads_back::<Beat>(bytes).map(Said::from).filter(|said| said.check().is_ok());
    if let Some(said) = &said {
        let families: Vec<bool> = said.addresses.relayed().map(|relayed| relayed.is_ipv4()).collect();
        assert!(matches!(*families, [_] | [true, false] | [false, true]), "{said:?}");
    }
    keys.is_some() || said.is_some()
}

fn reads_back<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let written = json(&read);
    let again = serde_json::from_str::<T>(&written).ok();
    assert_eq!(again.map(|again| json(&again)), Some(written));
    Some(read)
}

fn json(what: &impl Serialize) -> String {
    serde_json::to_string(what).unwrap_or_default()
}
