//! Runs the tools of others.

use std::{
    fs, io,
    path::{Path, absolute},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::cli::print::progress;

/// A tool that runs in a folder.
pub(crate) fn tool(program: impl AsRef<Path>, folder: &Path) -> Result<Command> {
    let program = program.as_ref();
    // A program of the project is named from where we are, and runs elsewhere.
    let path = if program.components().count() > 1 { absolute(program)? } else { program.to_owned() };
    let mut command = Command::new(path);
    command.current_dir(folder).stdin(Stdio::null());
    Ok(command)
}

/// Runs a tool to its end; whatever it says goes to standard error.
pub(crate) fn run(command: &mut Command, install: &str) -> Result<()> {
    let line = line(command);
    progress(&format!("running {line}"));
    let status = match command.stdout(io::stderr()).status() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("cannot run {line}: it is not installed; {install}")
        }
        status => status.with_context(|| format!("cannot run {line}"))?,
    };
    if !status.success() {
        bail!("{line} failed ({status}); what it said stands above");
    }
    Ok(())
}

/// Whether a file is missing, or older than what it was made from.
pub(crate) fn is_stale(made: &Path, from: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified());
    match (changed(made), changed(from)) {
        (Ok(made), Ok(from)) => made < from,
        _ => true,
    }
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_else(|| command.get_program());
    let words: Vec<_> =
        std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
