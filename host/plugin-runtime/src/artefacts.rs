//! Compiled code kept on disk, so that a start takes milliseconds.
//!
//! A file is named by the component's digest and by a hash of everything that the code depends on
//! (Wasmtime's version, its settings, the processor). It begins with an HMAC over name and code under
//! a key of the host's: nothing foreign is ever run. A file that does not fit is as good as none.
#![expect(unsafe_code, reason = "native code is loaded from a file; see `load`")]

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    path::PathBuf,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::{Engine, component::Component};

use crate::compiled::Digest;

/// Where compiled code is kept.
#[derive(Clone)]
pub struct ArtefactSettings {
    /// A folder that only the host writes to; it is made if missing.
    pub folder: PathBuf,
    /// Secret of the host: code authenticated by it is run.
    pub key: [u8; 32],
}

const MAC: usize = 32;

impl ArtefactSettings {
    /// The code of a component, if it was kept by this host for this engine.
    pub(crate) fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let name = name(engine, digest);
        let file = fs::read(self.folder.join(&name)).ok()?;
        let (mac, code) = file.split_at_checked(MAC)?;
        self.mac(&name, code).verify_slice(mac).ok()?;
        // SAFETY: `deserialize` runs what it is given, so it must be what `serialize` of this very
        // Wasmtime returned. The code carries a MAC under a key that only this host has, over the code
        // and over a name that holds the engine's compatibility hash; `keep` makes it for the output of
        // `serialize` alone. The bytes checked are the bytes passed: they were read once.
        let component = unsafe { Component::deserialize(engine, code) };
        component.inspect_err(|error| tracing::warn!(%digest, %error, "compiled code does not load")).ok()
    }

    /// Keeps the code of a component; without it the next start compiles again.
    pub(crate) fn keep(&self, engine: &Engine, digest: Digest, component: &Component) {
        if let Err(error) = self.write(engine, digest, component) {
            tracing::warn!(%digest, %error, folder = %self.folder.display(), "compiled code is not kept");
        }
    }

    fn write(&self, engine: &Engine, digest: Digest, component: &Component) -> wasmtime::Result<()> {
        let name = name(engine, digest);
        let code = component.serialize()?;
        let mac = self.mac(&name, &code).finalize().into_bytes();
        fs::create_dir_all(&self.folder)?;
        let temporary = self.folder.join(format!("{name}.{}", std::process::id()));
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&mac)?;
        file.write_all(&code)?;
        drop(file);
        // At once: a start after a crash finds all of it or nothing.
        Ok(fs::rename(temporary, self.folder.join(name))?)
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of 32 bytes");
        mac.update(b"switchhook compiled plugin\0");
        mac.update(name.as_bytes());
        mac.update(b"\0");
        mac.update(code);
        mac
    }
}

fn name(engine: &Engine, digest: Digest) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}", hasher.finish())
}

impl std::fmt::Debug for ArtefactSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtefactSettings").field("folder", &self.folder).finish_non_exhaustive()
    }
}
