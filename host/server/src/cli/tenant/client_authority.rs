//! `switchhook tenant client-authority`: whose certificates a tenant's devices need.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::Named;
use crate::cli::{
    input::text_of,
    print::{GOOD, styled},
};

/// Shows, sets and removes the authority whose certificates a tenant's devices need.
#[derive(Debug, Args)]
pub(crate) struct ClientAuthority {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the authority's certificates, in PEM.
    Show {
        #[command(flatten)]
        of: Named,
    },
    /// From now on refuse devices without a certificate of this authority.
    Set {
        #[command(flatten)]
        of: Named,
        /// The authority's certificates, in PEM; `-` is standard input.
        certificates: PathBuf,
    },
    /// Let devices come without a certificate.
    Remove {
        #[command(flatten)]
        of: Named,
    },
}

impl ClientAuthority {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Show { of } => {
                let authority: Value = of.server.admin()?.get(&of.path(AUTHORITY), &[]).await?;
                of.form.answer(&authority, |authority| {
                    authority.get("certificates").and_then(Value::as_str).unwrap_or_default().to_owned()
                })?;
            }
            Command::Set { of, certificates } => {
                let authority = json!({ "certificates": text_of(&certificates)? });
                change(&of, Method::PUT, Some(&authority), "set").await?;
            }
            Command::Remove { of } => change(&of, Method::DELETE, None, "removed").await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Where a tenant's authority is.
const AUTHORITY: &str = "client-authority";

async fn change(of: &Named, method: Method, body: Option<&Value>, done: &str) -> Result<()> {
    of.server.admin()?.send_json(method, &of.path(AUTHORITY), body).await?;
    let said = json!({ "tenant": of.tenant, "client_authority": done });
    of.form.answer(&said, |_| styled(GOOD, &format!("the authority is {done}")))
}
