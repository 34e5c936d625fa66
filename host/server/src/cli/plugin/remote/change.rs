//! Which version is asked, and what it is told.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::Remote;
use crate::cli::{
    input::text_of,
    print::{GOOD, ODD, styled},
};

/// Makes a version the one that is asked from now on.
#[derive(Debug, Args)]
pub(crate) struct Activate {
    /// The version, as `upload` counted it.
    version: u32,
    /// A JSON file with what the version is told; `-` reads standard input.
    #[arg(long)]
    configuration: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Goes back to the version that was active before.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    left: Left,
}

/// Lets nobody ask the plugin any more.
#[derive(Debug, Args)]
pub(crate) struct Deactivate {
    #[command(flatten)]
    left: Left,
}

#[derive(Debug, Args)]
struct Left {
    /// What becomes of attempts that began with the version that is left.
    #[arg(long, value_enum, default_value_t = Mode::Drain)]
    mode: Mode,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// They go on with it.
    Drain,
    /// They get the slot's declared default.
    Kill,
}

/// Shows what a plugin is told, or changes it; the plugin itself judges it.
#[derive(Debug, Args)]
pub(crate) struct Configure {
    /// A JSON file; `-` reads standard input. Without it the present configuration is shown.
    file: Option<PathBuf>,
    /// Which version; by default the active one.
    #[arg(long)]
    version: Option<u32>,
    #[command(flatten)]
    remote: Remote,
}

impl Activate {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let mut body = json!({ "version": self.version });
        if let (Some(path), Some(fields)) = (&self.configuration, body.as_object_mut()) {
            fields.insert("configuration".to_owned(), read(path)?);
        }
        change(&self.remote, "activate", &body).await
    }
}

impl Rollback {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        change(&self.left.remote, "rollback", &self.left.body()).await
    }
}

impl Deactivate {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        change(&self.left.remote, "deactivate", &self.left.body()).await
    }
}

impl Left {
    fn body(&self) -> Value {
        let mode = match self.mode {
            Mode::Drain => "drain",
            Mode::Kill => "kill",
        };
        json!({ "mode": mode })
    }
}

impl Configure {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let Self { file, version, remote } = self;
        let chosen = remote.chosen()?;
        let query = version.map(|version| format!("?version={version}")).unwrap_or_default();
        let path = chosen.path(&format!("configuration{query}"));
        let answer = match file {
            None => chosen.admin.get(&path, &[]).await?,
            Some(file) => chosen.admin.send_json(Method::PUT, &path, Some(&read(&file)?)).await?,
        };
        remote.at.form.answer(&answer, |answer| format!("{answer:#}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn change(remote: &Remote, what: &str, body: &Value) -> Result<ExitCode> {
    let chosen = remote.chosen()?;
    let answer = chosen.admin.send_json(Method::POST, &chosen.path(what), Some(body)).await?;
    remote.at.form.answer(&answer, words)?;
    Ok(ExitCode::SUCCESS)
}

fn words(answer: &Value) -> String {
    let version = answer.get("active_version").and_then(Value::as_u64);
    let name = answer.get("active_name").and_then(Value::as_str);
    match (name, version) {
        (Some(name), Some(version)) => styled(GOOD, &format!("{name}: version {version} is active")),
        _ => styled(ODD, "no version is active: the slot's declared default counts"),
    }
}

fn read(path: &Path) -> Result<Value> {
    serde_json::from_str(&text_of(path)?).with_context(|| format!("{} is not JSON", path.display()))
}
