//! What programs of others have in common: they lie in `tests/counterparts`, and their packages are
//! installed into one folder that the tests of a target folder share.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

/// Where the programs and the lists of their packages lie.
pub(crate) const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counterparts");

/// The folder of this name that the tests of this target folder share, with what is wanted in it: installed by the
/// first test that comes, and anew when something else is wanted.
pub(crate) fn installed(
    name: &str,
    wanted: &[u8],
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let program = env::current_exe()?;
    let target = program.parent().and_then(Path::parent).context("no target folder")?;
    let folder = target.join("counterparts").join(name);
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let done = folder.join("installed");
    if fs::read(&done).ok().as_deref() != Some(wanted) {
        install(&folder)?;
        // Last, and at once: what died in between is begun anew.
        let half = folder.join("installed.new");
        fs::write(&half, wanted)?;
        fs::rename(half, done)?;
    }
    Ok(folder)
}

/// Runs what installs, and says why it failed.
pub(crate) fn well(command: &mut Command) -> Result<()> {
    let said = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    let complaint = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success(), "{}", complaint.lines().last().unwrap_or_default());
    Ok(())
}
