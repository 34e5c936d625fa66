//! What stands beside a copy of the database.

use switchhook_core::seal::RootKeys;

use crate::backup::manifest::Manifest;

/// Whatever can be read is read the same when it is written anew, and nothing that was not made with these keys is
/// proven by them. True if it could be read.
///
/// # Panics
///
/// When a rule is broken.
pub fn backup_manifest(bytes: &[u8]) -> bool {
    let Some(manifest) = str::from_utf8(bytes).ok().and_then(Manifest::from_json) else { return false };
    assert_eq!(Manifest::from_json(&manifest.to_json()).as_ref(), Some(&manifest));
    assert!(!manifest.is_proven_by(&RootKeys::new([7; 32], [])), "under no key of ours");
    true
}
