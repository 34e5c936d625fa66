//! Compiled plugins of this user, kept between one command and the next: what `build` has compiled, `check`, `test`
//! and `bench` need not compile again, which for other languages than Rust takes long.
//!
//! They lie in the user's own cache folder, with the secret that authenticates them: whatever came with a project
//! from elsewhere is never run without being compiled here.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use switchhook_plugin_runtime::ArtefactSettings;
use tempfile::NamedTempFile;

use crate::lifecycle::parts;

/// Most bytes of it: a dozen components with their languages.
const MOST: u64 = 1 << 30;

/// Where they are kept; nowhere if this user has no folder for such things.
pub(crate) fn kept() -> Option<ArtefactSettings> {
    let folder = cache()?.join("switchhook").join("compiled");
    let key = key(&folder).inspect_err(|error| {
        tracing::warn!(folder = %folder.display(), %error, "compiled plugins are not kept");
    });
    Some(ArtefactSettings { keys: vec![key.ok()?], folder: folder.join("code"), most: MOST })
}

/// As the XDG base directories have it.
fn cache() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}

/// The secret, made at the first time.
fn key(folder: &Path) -> io::Result<[u8; 32]> {
    parts::folder(folder)?;
    let path = folder.join("key");
    if !path.exists() {
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(&rand::random::<[u8; 32]>())?;
        // Of two commands at once the first makes it.
        let _made_by_another = file.persist_noclobber(&path);
    }
    fs::read(path)?.try_into().map_err(|_other: Vec<u8>| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_secret_is_made_once_and_its_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("switchhook/compiled");

        let made = key(&folder).unwrap();

        assert_eq!(key(&folder).unwrap(), made);
        let others = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
        assert_eq!((others(&folder), others(&folder.join("key"))), (0, 0));
    }

    #[test]
    fn a_secret_of_another_length_is_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), b"short").unwrap();
        assert!(key(folder.path()).is_err());
    }
}
