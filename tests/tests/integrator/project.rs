//! A project in a folder of its own, and the commands of an integrator in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use switchhook_tests::skipped;
use tempfile::TempDir;

/// The program, as a release ships it.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_switchhook-under-test");

/// Where inner cargos build: what they built stays for the next run.
const TARGET: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/integrator");

/// A plugin's project.
pub(crate) struct Project {
    folder: TempDir,
}

/// What a command said, as JSON, and whether it went well.
pub(crate) struct Said {
    pub(crate) well: bool,
    pub(crate) answer: Value,
    pub(crate) complaint: String,
}

impl Project {
    /// `switchhook plugin new`.
    pub(crate) fn new(slot: &str, language: &str, name: &str) -> Result<Self> {
        let project = Self { folder: tempfile::tempdir()? };
        let made = project.run(&["new", "--slot", slot, "--lang", language, "--folder", ".", name])?;
        made.well()?;
        Ok(project)
    }

    /// `switchhook plugin …`, in the project's folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Said> {
        let mut command = Command::new(PROGRAM);
        command.arg("plugin").args(arguments).arg("--json").current_dir(self.folder.path());
        command.env("CARGO_TARGET_DIR", TARGET).stdin(Stdio::null());
        let output = command.output().context("the program does not start")?;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        Ok(Said { well: output.status.success(), answer, complaint })
    }

    /// Replaces what stands in a file exactly once.
    pub(crate) fn edit(&self, file: &str, before: &str, after: &str) -> Result<()> {
        let path = self.path(file);
        let text = fs::read_to_string(&path)?;
        ensure!(text.matches(before).count() == 1, "{file} does not say {before:?} once");
        Ok(fs::write(path, text.replace(before, after))?)
    }

    /// Writes a file.
    pub(crate) fn write(&self, file: &str, value: &Value) -> Result<()> {
        Ok(fs::write(self.path(file), value.to_string())?)
    }

    /// Where a file lies.
    pub(crate) fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(file)
    }
}

impl Said {
    /// Whether a registry had nothing to give: what installs from it failed. Says so for this test.
    pub(crate) fn lacks(&self, test: &str, installers: &[&str]) -> bool {
        let last = self.complaint.lines().last().unwrap_or_default();
        let failed = installers.iter().any(|line| last.starts_with(&format!("switchhook: {line}")));
        let lacks = !self.well && failed;
        if lacks {
            skipped::say(test, last);
        }
        lacks
    }

    /// The answer, if the command went well.
    pub(crate) fn well(self) -> Result<Value> {
        ensure!(self.well, "{}\n{:#}", self.complaint, self.answer);
        Ok(self.answer)
    }
}
