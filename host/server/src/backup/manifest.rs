//! What a backup says about itself.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use switchhook_core::seal::{RootKeys, Scope};
use switchhook_protocol::time::Timestamp;

/// Of this form of a backup.
const FORMAT: u32 = 1;

/// What the proof is for, under the host's own keys.
const PROOF: &str = "backup";

/// Read at once, in bytes: large enough that the disk is what takes time.
const PIECE: usize = 1 << 16;

/// What a backup says about itself.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// Version that made it.
    made_by: String,
    /// Milliseconds since 1970.
    made_at: u64,
    /// Size of the copy.
    pub(super) bytes: u64,
    /// Of the copy, hexadecimal.
    sha256: String,
    /// Id of the key of the proof, hexadecimal.
    key: String,
    /// MAC of the digest, hexadecimal.
    proof: String,
}

impl Manifest {
    /// Describes a copy that is whole.
    pub(super) fn of(copy: &Path, keys: &RootKeys, now: Timestamp) -> io::Result<Self> {
        let (digest, bytes) = digest(copy)?;
        let (key, proof) = keys.ring(Scope::Host).mac(PROOF, &[&digest]);
        Ok(Self {
            format: FORMAT,
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: now.as_millis(),
            bytes,
            sha256: HEXLOWER.encode(&digest),
            key: HEXLOWER.encode(&key),
            proof: HEXLOWER.encode(&proof),
        })
    }

    /// None: of another form.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text).ok().filter(|manifest| manifest.format == FORMAT)
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Whether this is the copy that it describes.
    pub(super) fn is_of(&self, copy: &Path) -> io::Result<bool> {
        let (digest, bytes) = digest(copy)?;
        Ok(bytes == self.bytes && HEXLOWER.encode(&digest) == self.sha256)
    }

    /// Whether who made it had one of these keys.
    pub(crate) fn is_proven_by(&self, keys: &RootKeys) -> bool {
        let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).ok();
        let parts = || Some((hex(&self.key)?.try_into().ok()?, hex(&self.sha256)?, hex(&self.proof)?));
        let Some((key, digest, proof)) = parts() else { return false };
        let expected = keys.ring(Scope::Host).mac_of(key, PROOF, &[&digest]);
        expected.is_some_and(|expected| bool::from(expected.ct_eq(&proof)))
    }
}

fn digest(file: &Path) -> io::Result<([u8; 32], u64)> {
    let mut file = File::open(file)?;
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((digest.finalize().into(), bytes)),
            read => {
                digest.update(piece.get(..read).unwrap_or_default());
                bytes += u64::try_from(read).unwrap_or_default();
            }
        }
    }
}
