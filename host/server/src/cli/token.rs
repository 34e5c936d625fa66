//! `switchhook token`: who may administer a running server, and which applications register at it.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_protocol::id::{ApplicationId, TenantId};

use super::{
    admin::Server,
    print::{FAINT, Form, GOOD, styled},
};

/// Makes, lists and revokes tokens, a tenant's or the operator's.
#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token; it is shown this once.
    Create {
        /// What it is for.
        label: String,
        /// Let it register identifiers for this application of the tenant, and do nothing else.
        #[arg(long)]
        application: Option<ApplicationId>,
        /// Days until it counts no more.
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3650))]
        days: u64,
        #[command(flatten)]
        of: Of,
    },
    /// List the tokens, without the tokens themselves.
    List {
        #[command(flatten)]
        of: Of,
    },
    /// Let a token count no more.
    Revoke {
        /// Its id, as `list` shows it.
        id: String,
        #[command(flatten)]
        of: Of,
    },
}

/// Whose tokens.
#[derive(Debug, Args)]
struct Of {
    /// A tenant's; without it, the operator's.
    #[arg(long, env = "SWITCHHOOK_TENANT")]
    tenant: Option<TenantId>,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    form: Form,
}

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl Token {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Create { label, application, days, of } => {
                let body =
                    json!({ "label": label, "application": application, "expires_in_ms": days * DAY_MS });
                let made = of.server.admin()?.send_json(Method::POST, &of.path(), Some(&body)).await?;
                // The bare token, so that it can go into a file.
                of.form.answer(&made, |made| field(made, "token"))?;
            }
            Command::List { of } => {
                let tokens: Value = of.server.admin()?.get(&of.path(), &[]).await?;
                of.form.answer(&tokens, rows)?;
            }
            Command::Revoke { id, of } => {
                let path = format!("{}/{id}", of.path());
                of.server.admin()?.send_json(Method::DELETE, &path, None).await?;
                of.form.answer(&json!({ "revoked": id }), |_| styled(GOOD, "revoked"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Of {
    fn path(&self) -> String {
        self.tenant.as_ref().map_or_else(|| "tokens".to_owned(), |tenant| format!("tenants/{tenant}/tokens"))
    }
}

fn rows(tokens: &Value) -> String {
    let row = |token: &Value| {
        let revoked = token.get("revoked").and_then(Value::as_bool).unwrap_or(false);
        let state = if revoked { styled(FAINT, " revoked") } else { String::new() };
        format!("{} {}{state}", field(token, "id"), field(token, "label"))
    };
    tokens.as_array().into_iter().flatten().map(row).collect::<Vec<_>>().join("\n")
}

fn field(of: &Value, name: &str) -> String {
    of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
