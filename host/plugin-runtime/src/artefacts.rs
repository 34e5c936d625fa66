//! Compiled code kept on disk, so that a start takes milliseconds.
//!
//! A file is named by the component's digest and by a hash of everything that the code depends on
//! (Wasmtime's version, its settings, the processor). It begins with an HMAC over name and code under
//! a key of the host's: nothing foreign is ever run. A file that does not fit is as good as none. When all of them take
//! more than they may, the oldest go: what is still used is compiled anew at the next start.
#![expect(unsafe_code, reason = "native code is loaded; see `trusted`")]

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    path::PathBuf,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tempfile::NamedTempFile;
use wasmtime::{Engine, component::Component};

use crate::compiled::Digest;

/// Where compiled code is kept.
#[derive(Clone)]
pub struct ArtefactSettings {
    /// A folder that only the host writes to; it is made if missing.
    pub folder: PathBuf,
    /// Secrets of the host: code authenticated by any of them is run, and kept under the first.
    pub keys: Vec<[u8; 32]>,
    /// Most bytes of it.
    pub most: u64,
}

const MAC: usize = 32;

impl ArtefactSettings {
    /// The code of a component, if it was kept by this host for this engine.
    pub(crate) fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let name = name(engine, digest);
        let file = fs::read(self.folder.join(&name)).ok()?;
        let (mac, code) = file.split_at_checked(MAC)?;
        let under =
            self.keys.iter().position(|key| authenticator(key, &name, code).verify_slice(mac).is_ok())?;
        if under > 0 {
            self.keep(engine, digest, code);
        }
        // The code carries a MAC under a key that only this host has, over the code and over a name that holds the
        // engine's compatibility hash; `keep` makes it for the compiler's output alone. The bytes checked are the
        // bytes passed: they were read once.
        let component = trusted(engine, code);
        component.inspect_err(|error| tracing::warn!(%digest, %error, "compiled code does not load")).ok()
    }

    /// Keeps the code of a component; without it the next start compiles again.
    pub(crate) fn keep(&self, engine: &Engine, digest: Digest, code: &[u8]) {
        let kept = self.write(engine, digest, code).and_then(|()| self.make_room());
        if let Err(error) = kept {
            tracing::warn!(%digest, %error, folder = %self.folder.display(), "compiled code is not kept");
        }
    }

    /// Removes what no engine of this program loads: code of other versions and what was half written.
    pub(crate) fn sweep(&self, engine: &Engine) {
        let current = suffix(engine);
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let file = entry.file_name();
            if !file.to_string_lossy().ends_with(&current)
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!(file = %entry.path().display(), %error, "old compiled code stays");
            }
        }
    }

    /// At once and for good: a start after a crash finds all of it or nothing.
    fn write(&self, engine: &Engine, digest: Digest, code: &[u8]) -> std::io::Result<()> {
        let name = name(engine, digest);
        let Some(key) = self.keys.first() else { return Ok(()) };
        let mac = authenticator(key, &name, code).finalize().into_bytes();
        fs::create_dir_all(&self.folder)?;
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(&mac)?;
        file.write_all(code)?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(name))?;
        fs::File::open(&self.folder)?.sync_all()
    }

    /// The newest stay that have room together.
    fn make_room(&self) -> std::io::Result<()> {
        let mut files = vec![];
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            files.push((about.modified()?, about.len(), entry.path()));
        }
        files.sort_unstable_by(|one, other| other.cmp(one));
        let mut room = self.most;
        for (_, size, path) in files {
            match room.checked_sub(size) {
                Some(rest) => room = rest,
                None => fs::remove_file(path)?,
            }
        }
        Ok(())
    }
}

/// What authenticates this code under this name.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn authenticator(key: &[u8; 32], name: &str, code: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of 32 bytes");
    mac.update(b"switchhook compiled plugin\0");
    mac.update(name.as_bytes());
    mac.update(b"\0");
    mac.update(code);
    mac
}

/// Code that the compiler made just now, in this process or in a child, ready to be linked.
pub(crate) fn fresh(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // The caller has it from `Compiler`, which passes on what `precompile_component` returned: in this process, or
    // in a child that is this very program and whose pipe nobody else writes to.
    trusted(engine, code)
}

/// To be called with what this very Wasmtime has compiled, and nothing else.
fn trusted(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` runs what it is given, so it must be what `precompile_component` of this very Wasmtime
    // returned. That each of the two callers in this module has nothing else stands there; Wasmtime itself
    // refuses code of other versions and settings.
    unsafe { Component::deserialize(engine, code) }
}

fn name(engine: &Engine, digest: Digest) -> String {
    format!("{digest}{}", suffix(engine))
}

/// Of all files that this engine loads.
fn suffix(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("-{:016x}", hasher.finish())
}

impl std::fmt::Debug for ArtefactSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtefactSettings").field("folder", &self.folder).finish_non_exhaustive()
    }
}
