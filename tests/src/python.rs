//! Programs in Python, with packages of `PyPI`, that play the other side.
//!
//! The programs lie in `tests/counterparts`, beside the lists of the packages that they want. These are
//! installed by the first test that comes, into a folder that tests share, and anew when a list changes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process, time::timeout};

use crate::{
    counterparts::{PROGRAMS, installed, well},
    skipped,
};

/// Until a program is given up: a suite has hundreds of cases, and an interpreter that has just been
/// installed starts slowly.
const PATIENCE: Duration = Duration::from_secs(100);

/// An interpreter that has the packages.
#[derive(Debug, Clone)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// None where it cannot be had; then it is said that this test was skipped.
    pub fn of(test: &str) -> Option<Self> {
        match interpreter() {
            Ok(interpreter) => Some(Self { interpreter }),
            Err(why) => {
                skipped::say(test, &format!("{why:#}"));
                None
            }
        }
    }

    /// Runs a program of the folder; what it takes and gives is JSON.
    pub async fn run(&self, program: &str, asked: &Value) -> Result<Value> {
        let mut command = process::Command::new(&self.interpreter);
        command.arg(Path::new(PROGRAMS).join(program)).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(asked.to_string().as_bytes()).await?;
        drop(stdin);
        let output = timeout(PATIENCE, child.wait_with_output()).await.context(program.to_owned())??;
        ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// The interpreter with the packages.
fn interpreter() -> Result<PathBuf> {
    let [list, alone] = ["requirements.txt", "alone.txt"].map(|list| Path::new(PROGRAMS).join(list));
    let wanted = [fs::read(&list)?, fs::read(&alone)?].concat();
    let interpreter = |folder: &Path| folder.join("environment/bin/python");
    let folder = installed("python", &wanted, |folder| {
        well(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder.join("environment")))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        well(Command::new(interpreter(folder)).args(pip).arg("-r").arg(&list))?;
        well(Command::new(interpreter(folder)).args(pip).args(["--no-deps", "-r"]).arg(&alone))
    });
    Ok(interpreter(&folder?))
}
