//! The tenant's key-value pairs, as they were when the call began.
//!
//! A plugin has them only if its tenant grants it `key-value`; one that calls these functions without
//! the grant is refused at upload. A registration method changes pairs by
//! [`Effect::Store`](crate::registration::Effect::Store).

use alloc::{string::String, vec::Vec};

/// The value of a key; none in native tests.
pub fn get(key: &str) -> Option<Vec<u8>> {
    if cfg!(target_arch = "wasm32") {
        crate::bindings::shared::switchhook::types::key_value::get(key)
    } else {
        None
    }
}

/// The keys that begin so, in order, at most 100; none in native tests.
pub fn keys(prefix: &str) -> Vec<String> {
    if cfg!(target_arch = "wasm32") {
        crate::bindings::shared::switchhook::types::key_value::keys(prefix)
    } else {
        Vec::new()
    }
}
