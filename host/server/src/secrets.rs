//! The secrets of an installation: files that only their owner reads.
//!
//! `root.keys`: the operator's keys, hexadecimal, one a line, the current one first. To rotate, put a
//! new line on top and restart; remove the old one when nothing that it sealed is wanted any more.
//! `admin.token`: the operator's bearer token, made at the first start; the database has its hash alone.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER_PERMISSIVE;
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use switchhook_core::{mint, seal::RootKeys};

/// Why the secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file cannot be read or made.
    #[error("cannot use {}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A line of the key file is no key.
    #[error("line {line} of {} is not a key of 64 hexadecimal digits", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// Others can read a file.
    #[error("{} can be read by others: chmod 600 it", .0.display())]
    Exposed(PathBuf),
}

/// Name of the key file.
pub const ROOT_KEYS: &str = "root.keys";

/// Name of the operator's token file.
pub const ADMIN_TOKEN: &str = "admin.token";

/// Reads the operator's keys, or makes them.
pub(crate) fn root_keys(data: &Path, rng: &mut impl CryptoRng) -> Result<RootKeys, SecretsError> {
    let path = data.join(ROOT_KEYS);
    let text = read_or_make(&path, || format!("{}\n", HEXLOWER_PERMISSIVE.encode(&mint::bytes::<32>(rng))))?;
    parse(&path, &text)
}

/// Reads a file of operator's keys that exists.
pub(crate) fn read_root_keys(path: &Path) -> Result<RootKeys, SecretsError> {
    let text = fs::read_to_string(path).map_err(|error| SecretsError::File(path.to_owned(), error))?;
    exposed(path)?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<RootKeys, SecretsError> {
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bytes = HEXLOWER_PERMISSIVE.decode(line.trim().as_bytes()).ok();
        let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        keys.push(key.ok_or_else(|| SecretsError::Key { path: path.to_owned(), line: index + 1 })?);
    }
    let mut keys = keys.into_iter();
    let current = keys.next().ok_or_else(|| SecretsError::Key { path: path.to_owned(), line: 1 })?;
    Ok(RootKeys::new(current, keys))
}

/// Reads the operator's token, or makes it.
pub(crate) fn admin_token(data: &Path, rng: &mut impl CryptoRng) -> Result<String, SecretsError> {
    read_or_make(&data.join(ADMIN_TOKEN), || new_token(rng)).map(|token| token.trim().to_owned())
}

/// A new bearer token.
pub(crate) fn new_token(rng: &mut impl CryptoRng) -> String {
    format!("swh_{}", mint::nonce(rng))
}

/// What the database keeps of a token: they are random and long, so that a plain hash is enough.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Writes a file that only its owner reads; whole or not at all.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), SecretsError> {
    let failed = |error| SecretsError::File(path.to_owned(), error);
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&beside, path).and_then(|()| sync_folder(path)).map_err(failed)
}

/// Makes a file's name last: without this a loss of power may take the name of a file that is on the disk.
pub(crate) fn sync_folder(of: &Path) -> io::Result<()> {
    match of.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => fs::File::open(".")?.sync_all(),
    }
}

fn read_or_make(path: &Path, make: impl FnOnce() -> String) -> Result<String, SecretsError> {
    match fs::read_to_string(path) {
        Ok(text) => exposed(path).map(|()| text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = make();
            write(path, &text).map(|()| text)
        }
        Err(error) => Err(SecretsError::File(path.to_owned(), error)),
    }
}

#[cfg(unix)]
fn exposed(path: &Path) -> Result<(), SecretsError> {
    use std::os::unix::fs::PermissionsExt as _;

    let meta = fs::metadata(path).map_err(|error| SecretsError::File(path.to_owned(), error))?;
    if meta.permissions().mode().trailing_zeros() >= 6 {
        Ok(())
    } else {
        Err(SecretsError::Exposed(path.to_owned()))
    }
}

#[cfg(not(unix))]
fn exposed(_: &Path) -> Result<(), SecretsError> {
    Ok(())
}
