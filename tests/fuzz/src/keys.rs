//! Keys that nobody who fuzzes knows of.

use switchhook_core::seal::{KeyRing, RootKeys, Scope};

pub(crate) fn cdx_keys() -> KeyRing {
    ring(Scope::Cdx)
}

pub(crate) fn ring(scope: Scope<'_>) -> KeyRing {
    RootKeys::new([7; 32], [[8; 32]]).ring(scope)
}
