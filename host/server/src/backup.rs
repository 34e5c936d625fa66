//! A backup: a folder with a copy of the database, and the proof that it is whole and of this installation.
//!
//! | file | what |
//! | --- | --- |
//! | `switchhook.db` | one committed state of the database, of a moment while the backup was made |
//! | `root.keys`, `admin.token`, `sandbox.json` | the secrets, only if they are asked for |
//! | `backup.json` | [`Manifest`]; written last, so that a backup that was broken off is none |
//!
//! **To restore** is to lay the files out in an empty data folder, read the whole copy, bring its schema up to date, and
//! give it a new incarnation, so that clients notice ([`Storage::adopt`]). The database gets its name as the
//! last step, and whatever fails before leaves the folder empty again.
//!
//! The proof is a MAC over the copy's digest under the root keys: it tells a changed copy, and keys of another
//! installation, under which nothing sealed would open.

pub(crate) mod manifest;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use rand::{SeedableRng as _, rngs::StdRng};
use serde::Serialize;
use switchhook_core::mint;
use switchhook_storage::{Adopted, Clock, CopyError, Database, OpenError, Storage, StorageError};

use self::manifest::Manifest;
use crate::{
    ADMIN_TOKEN, ROOT_KEYS, Settings, clock,
    lifecycle::{DATABASE, parts},
    sandbox,
    secrets::{self, SecretsError},
};

/// Name of the manifest.
const MANIFEST: &str = "backup.json";

/// Name of the database until it is whole.
const RESTORING: &str = "restoring.db";

/// Why there is no backup, or why it was not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The rows are somewhere else.
    #[error(
        "the rows are in PostgreSQL: back them up with pg_dump or its continuous archive, keep root.keys beside \
         them, and run `switchhook restore --adopt` once they are back, before the first start"
    )]
    Postgres,
    /// A file cannot be read or made.
    #[error("cannot use {}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Something is there already.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// No backup, or one that was broken off.
    #[error("{} is no backup that this version knows", .0.display())]
    NoBackup(PathBuf),
    /// There is nothing to adopt.
    #[error("there is no database {}", .0.display())]
    NoDatabase(PathBuf),
    /// The copy is not what was backed up.
    #[error("the copy in the backup was changed or is damaged")]
    Changed,
    /// The backup has no keys and none were given.
    #[error("the backup has no keys: name them with --keys, or give them up with --new-keys")]
    NoKeys,
    /// These are keys of another installation.
    #[error("these are not the keys of this backup")]
    OtherKeys,
    /// Keys or tokens cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database cannot be copied, or the copy is damaged.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The database does not open; it is perhaps of a later version.
    #[error("the database does not open")]
    Open(#[from] OpenError),
    /// The restored database could not be written back into its file.
    #[error("the database did not become one file: {} is still there", .0.display())]
    Log(PathBuf),
    /// The database does not take its new incarnation.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What was made.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    folder: PathBuf,
    bytes: u64,
    with_keys: bool,
}

/// What was restored or adopted.
#[derive(Debug, Serialize)]
pub(crate) struct Restored {
    /// Mailboxes that begin a new epoch.
    pub(crate) mailboxes: u64,
    /// Texts and mails that may have been sent since.
    pub(crate) in_doubt: u64,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = if self.with_keys {
            "with the secrets: keep it as safe as them"
        } else {
            "without keys: keep root.keys elsewhere"
        };
        write!(f, "{} has {} bytes of the database, {keys}", self.folder.display(), self.bytes)
    }
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "restored; {} devices will notice when they connect", self.mailboxes)?;
        match self.in_doubt {
            0 => Ok(()),
            in_doubt => write!(f, "; {in_doubt} texts and mails may have been sent since and are in doubt"),
        }
    }
}

/// Which keys a restored installation has.
#[derive(Debug, Clone)]
pub(crate) enum Keys {
    /// Those of the backup.
    OfBackup,
    /// Those of this file.
    Of(PathBuf),
    /// The next start makes new ones: what the old ones sealed is lost.
    New,
}

/// Backs an installation up into a new folder, beside its running server.
pub(crate) async fn make(
    settings: &Settings,
    to: &Path,
    with_keys: bool,
    told: impl FnMut(u64, u64),
) -> Result<Made, BackupError> {
    if settings.database.is_some() {
        return Err(BackupError::Postgres);
    }
    let data = &settings.data;
    let keys = secrets::read_root_keys(&data.join(ROOT_KEYS))?;
    must_be_empty(to)?;
    parts::folder(to).map_err(of(to))?;
    let copy = to.join(DATABASE);
    switchhook_storage::copy(&data.join(DATABASE), &copy, told).await?;
    if with_keys {
        copy_secrets(data, to)?;
    }
    let manifest = Manifest::of(&copy, &keys, clock::now()).map_err(of(&copy))?;
    secrets::write(&to.join(MANIFEST), &manifest.to_json())?;
    Ok(Made { folder: to.to_owned(), bytes: manifest.bytes, with_keys })
}

/// Restores a backup into an empty data folder.
pub(crate) async fn restore(from: &Path, settings: &Settings, keys: &Keys) -> Result<Restored, BackupError> {
    if settings.database.is_some() {
        return Err(BackupError::Postgres);
    }
    let data = &settings.data;
    check(from, keys)?;
    must_be_empty(data)?;
    parts::folder(data).map_err(of(data))?;
    let restored = lay_out(from, data, keys).await;
    if restored.is_err() {
        // What is left is refused next time as not empty; the first error says more.
        empty(data).unwrap_or_default();
    }
    restored
}

/// Gives a database that came back by other means its new incarnation.
pub(crate) async fn adopt(settings: &Settings) -> Result<Restored, BackupError> {
    let file = settings.data.join(DATABASE);
    if settings.database.is_none() && !file.exists() {
        return Err(BackupError::NoDatabase(file));
    }
    let storage = parts::storage(settings, clock::now).await?;
    let adopted = renew(&storage).await;
    storage.close().await;
    Ok(adopted?)
}

/// Whether the backup is whole, and its keys are these.
fn check(from: &Path, keys: &Keys) -> Result<(), BackupError> {
    let no_backup = || BackupError::NoBackup(from.to_owned());
    let text = fs::read_to_string(from.join(MANIFEST)).map_err(|_missing| no_backup())?;
    let manifest = Manifest::from_json(&text).ok_or_else(no_backup)?;
    let copy = from.join(DATABASE);
    if !manifest.is_of(&copy).map_err(of(&copy))? {
        return Err(BackupError::Changed);
    }
    let file = match keys {
        Keys::New => return Ok(()),
        Keys::Of(file) => file.clone(),
        Keys::OfBackup => from.join(ROOT_KEYS),
    };
    if !file.exists() {
        return Err(BackupError::NoKeys);
    }
    if manifest.is_proven_by(&secrets::read_root_keys(&file)?) { Ok(()) } else { Err(BackupError::OtherKeys) }
}

async fn lay_out(from: &Path, data: &Path, keys: &Keys) -> Result<Restored, BackupError> {
    match keys {
        Keys::New => {}
        Keys::OfBackup => copy_secrets(from, data)?,
        Keys::Of(file) => copy_secret(file, &data.join(ROOT_KEYS))?,
    }
    let database = data.join(RESTORING);
    copy_privately(&from.join(DATABASE), &database).map_err(of(&database))?;
    switchhook_storage::verify(&database).await?;
    let settings = switchhook_storage::Settings::new(
        Database::Sqlite { path: database.clone() },
        Clock::new(clock::now),
    );
    let storage = Storage::open(settings).await?;
    let restored = async {
        if matches!(keys, Keys::New) {
            storage.forget_keys_proof().await?;
        }
        renew(&storage).await
    }
    .await;
    storage.close().await;
    let restored = restored?;
    // What stands in a log that is left would stay behind under the former name.
    let log = database.with_extension("db-wal");
    if log.exists() {
        return Err(BackupError::Log(log));
    }
    let lock = database.with_extension("lock");
    fs::remove_file(&lock).map_err(of(&lock))?;
    let named = data.join(DATABASE);
    fs::rename(&database, &named).and_then(|()| secrets::sync_folder(&named)).map_err(of(&named))?;
    Ok(restored)
}

async fn renew(storage: &Storage) -> Result<Restored, StorageError> {
    let incarnation = mint::epoch(&mut StdRng::from_rng(&mut rand::rng()));
    let Adopted { mailboxes, in_doubt } = storage.adopt(&incarnation).await?;
    Ok(Restored { mailboxes, in_doubt })
}

/// For its owner alone, whatever the backup's mode has become on its way; on the disk when this returns.
fn copy_privately(from: &Path, to: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut copy = options.open(to)?;
    io::copy(&mut fs::File::open(from)?, &mut copy)?;
    copy.sync_all()
}

/// All secrets that are there; the keys always are.
fn copy_secrets(from: &Path, to: &Path) -> Result<(), BackupError> {
    for name in [ROOT_KEYS, ADMIN_TOKEN, sandbox::FILE] {
        if from.join(name).exists() {
            copy_secret(&from.join(name), &to.join(name))?;
        }
    }
    Ok(())
}

fn copy_secret(from: &Path, to: &Path) -> Result<(), BackupError> {
    let text = fs::read_to_string(from).map_err(of(from))?;
    Ok(secrets::write(to, &text)?)
}

fn must_be_empty(folder: &Path) -> Result<(), BackupError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(BackupError::NotEmpty(folder.to_owned())),
        },
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::File(folder.to_owned(), error)),
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

fn of(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |error| BackupError::File(path, error)
}
