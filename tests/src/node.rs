//! Programs in JavaScript, with packages of npm, that play the other side.
//!
//! A test and its program say lines of JSON to each other. The packages are installed once for all tests;
//! where Node.js or the registry is missing, a test that wants one says that it was skipped.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    process::{self, Stdio},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    counterparts::{PROGRAMS, installed, well},
    skipped,
    waiting::in_time,
};

/// A running script; killed when dropped.
#[derive(Debug)]
pub struct Node {
    _child: Child,
    told: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    /// What happened and no test has asked for yet.
    happened: VecDeque<(String, Value)>,
}

/// The packages, each in one version.
const PACKAGES: &str = include_str!("../counterparts/package.json");

impl Node {
    /// Starts a script; none, and said so for this test, where it cannot run.
    pub fn start(test: &str, script: &str) -> Result<Option<Self>> {
        if !skipped::has(test, "node", 20) || !skipped::has(test, "npm", 9) {
            return Ok(None);
        }
        let packages = match packages() {
            Ok(packages) => packages,
            Err(error) => {
                skipped::say(test, &format!("npm install: {error:#}"));
                return Ok(None);
            }
        };
        let mut command = Command::new("node");
        command.arg(Path::new(PROGRAMS).join(script)).env("NODE_PATH", packages).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let told = child.stdin.take().context("no standard input")?;
        let said = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Some(Self { _child: child, told, said, happened: VecDeque::new() }))
    }

    /// Says something, and waits for the answer.
    pub async fn ask(&mut self, what: &Value) -> Result<Value> {
        self.tell(what).await?;
        self.next().await
    }

    /// Says something.
    pub async fn tell(&mut self, what: &Value) -> Result<()> {
        Ok(self.told.write_all(format!("{what}\n").as_bytes()).await?)
    }

    /// What it says next.
    pub async fn next(&mut self) -> Result<Value> {
        let line = in_time("the program's word", self.said.next_line()).await??;
        Ok(serde_json::from_str(&line.context("the program has ended")?)?)
    }

    /// The next event of this kind, of a program that says each as an object with its name; others wait to be asked
    /// for.
    pub async fn event(&mut self, kind: &str) -> Result<Value> {
        if let Some(at) = self.happened.iter().position(|(other, _)| other == kind) {
            return self.happened.remove(at).map(|(_, event)| event).context("no event");
        }
        loop {
            let event = self.next().await?;
            let (name, event) = event.as_object().and_then(|all| all.iter().next()).context("no event")?;
            if name == kind {
                return Ok(event.clone());
            }
            self.happened.push_back((name.clone(), event.clone()));
        }
    }

    /// Events of this kind that have been passed over, and no test has asked for.
    pub fn unread(&self, kind: &str) -> usize {
        self.happened.iter().filter(|(other, _)| other == kind).count()
    }

    /// Does something, as the script says; it is done when this returns.
    pub async fn does(&mut self, what: &Value) -> Result<()> {
        self.tell(what).await?;
        self.event("did").await.map(drop)
    }
}

/// The folder of the packages.
fn packages() -> Result<PathBuf> {
    let folder = installed("node", PACKAGES.as_bytes(), |folder| {
        fs::write(folder.join("package.json"), PACKAGES)?;
        let mut npm = process::Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]);
        well(npm.current_dir(folder))
    });
    Ok(folder?.join("node_modules"))
}
