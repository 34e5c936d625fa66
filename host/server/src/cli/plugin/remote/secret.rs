//! `switchhook plugin secret`: what a plugin's requests carry and nobody reads back.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_core::policy::is_word;

use super::Remote;
use crate::cli::input::secret_of;

/// Lists, sets and removes secrets; nobody reads them back.
#[derive(Debug, Args)]
pub(crate) struct Secret {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The names of the secrets.
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Set one, from a file or from standard input.
    Set {
        /// 1 to 64 of a-z, 0-9 and '-'.
        secret: String,
        /// Where it stands; by default standard input.
        #[arg(long)]
        file: Option<PathBuf>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove one.
    Remove {
        /// Its name.
        secret: String,
        #[command(flatten)]
        remote: Remote,
    },
}

impl Secret {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::List { remote } => {
                let chosen = remote.chosen()?;
                let names: Value = chosen.admin.get(&chosen.path("secrets"), &[]).await?;
                remote.at.form.answer(&names, |names| format!("{names:#}"))?;
            }
            Command::Set { secret, file, remote } => {
                let value = json!({ "value": secret_of(file.as_deref().unwrap_or_else(|| Path::new("-")))? });
                change(&remote, Method::PUT, &secret, Some(&value)).await?;
            }
            Command::Remove { secret, remote } => change(&remote, Method::DELETE, &secret, None).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn change(remote: &Remote, method: Method, secret: &str, value: Option<&Value>) -> Result<()> {
    ensure!(is_word(secret), "{secret:?} is no name for a secret: 1 to 64 of a-z, 0-9 and '-'");
    let chosen = remote.chosen()?;
    chosen.admin.send_json(method, &chosen.path(&format!("secrets/{secret}")), value).await?;
    remote.at.form.answer(&json!({ "secret": secret }), |_| format!("secret {secret}: done"))
}
