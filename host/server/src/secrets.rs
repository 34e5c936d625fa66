//! The secrets of an installation: files that only their owner reads.
//!
//! `root.keys`: the operator's keys, hexadecimal, one a line. The first one seals, all of them open. To rotate, add a new
//! line at the end and restart every node; move it to the top and restart every node; remove the old one when nothing
//! that it sealed is wanted any more. At no step does a node seal what another cannot open.
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

use crate::limits;

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
    /// A key stands twice: a line was copied that was to be moved.
    #[error("line {line} of {} has the key of a line above it", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// There are more keys than one would rotate by.
    #[error("{} has more than {} keys: remove those that sealed nothing that is wanted", .0.display(), limits::ROOT_KEYS)]
    TooMany(PathBuf),
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
        let (path, line) = (path.to_owned(), index + 1);
        let Some(key) = key else { return Err(SecretsError::Key { path, line }) };
        if keys.contains(&key) {
            return Err(SecretsError::Twice { path, line });
        }
        if keys.len() == limits::ROOT_KEYS {
            return Err(SecretsError::TooMany(path));
        }
        keys.push(key);
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

#[cfg(test)]
mod tests {
    use switchhook_core::seal::Scope;

    use super::*;

    fn line(digits: &str) -> String {
        format!("{}\n", digits.repeat(32))
    }

    fn read(lines: &[String]) -> Result<RootKeys, SecretsError> {
        parse(Path::new(ROOT_KEYS), &lines.concat())
    }

    #[test]
    fn the_first_key_of_the_file_seals_and_all_of_them_open() {
        let ids = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().copied().map(line).collect();
            read(&lines).unwrap().ring(Scope::Host).ids().collect::<Vec<_>>()
        };
        let (old, new) = (ids(&["01"])[0], ids(&["02"])[0]);
        assert_eq!(ids(&["01", "02"]), [old, new]);
        assert_eq!(ids(&["02", "01"]), [new, old]);
    }

    #[test]
    fn a_file_that_was_edited_wrongly_says_where() {
        let wrong = |lines: &[String]| read(lines).unwrap_err().to_string();
        assert_eq!(wrong(&[]), "line 1 of root.keys is not a key of 64 hexadecimal digits");
        let marked = "next ".to_owned() + &line("02");
        assert_eq!(wrong(&[line("01"), marked]), "line 2 of root.keys is not a key of 64 hexadecimal digits");
        let copied = [line("02"), line("01"), line("02")];
        assert_eq!(wrong(&copied), "line 3 of root.keys has the key of a line above it");
        let many: Vec<_> = (10..=10 + limits::ROOT_KEYS).map(|key| line(&key.to_string())).collect();
        assert!(read(&many[1..]).is_ok());
        assert!(wrong(&many).starts_with("root.keys has more than"), "{}", wrong(&many));
    }
}
