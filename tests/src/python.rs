//! Programs in Python, with packages of `PyPI`, that play the other side.
//!
//! The programs lie in `tests/counterparts`, beside the list of the packages that they want. These are
//! installed once into a folder that tests share, of which each version of the list has its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process};

use crate::waiting::in_time;

const COUNTERPARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counterparts");

/// An interpreter that has the packages.
#[derive(Debug, Clone)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// None where it cannot be had; then it is said that this test was skipped.
    pub fn of(test: &str) -> Option<Self> {
        match install() {
            Ok(interpreter) => Some(Self { interpreter }),
            Err(why) => {
                say_skipped(test, &why);
                None
            }
        }
    }

    /// Runs a program of the folder; what it takes and gives is JSON.
    pub async fn run(&self, program: &str, asked: &Value) -> Result<Value> {
        let mut command = process::Command::new(&self.interpreter);
        command.arg(Path::new(COUNTERPARTS).join(program)).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(asked.to_string().as_bytes()).await?;
        drop(stdin);
        let output = in_time(program, child.wait_with_output()).await??;
        ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// The interpreter with the packages, installed by the first test that comes.
fn install() -> Result<PathBuf> {
    let list = Path::new(COUNTERPARTS).join("requirements.txt");
    let place = shared()?;
    let (folder, done) = (place.join("environment"), place.join("requirements.txt"));
    let interpreter = folder.join("bin/python");
    let lock = File::create(place.join("lock"))?;
    lock.lock()?;
    if fs::read(&done).ok() != Some(fs::read(&list)?) {
        well(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut pip = Command::new(&interpreter);
        well(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&list))?;
        // Last: what died in between is begun anew.
        let half = place.join("requirements.new");
        fs::copy(&list, &half)?;
        fs::rename(half, done)?;
    }
    Ok(interpreter)
}

/// The folder that the tests of this target folder share.
fn shared() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(Path::parent).context("no target folder")?.join("counterparts");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn well(command: &mut Command) -> Result<()> {
    let said = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    let complaint = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success(), "{}", complaint.lines().last().unwrap_or_default());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "whoever runs the tests reads it, and the test's report has it")]
fn say_skipped(test: &str, why: &anyhow::Error) {
    println!("skipped: {test}: {why:#}");
}
