//! `switchhook tenant`: tenants of a running server.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_protocol::id::TenantId;

use super::{
    admin::Server,
    print::{Form, GOOD, styled},
};

/// Makes and lists tenants; for the operator.
#[derive(Debug, Args)]
pub(crate) struct Tenant {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a tenant, with the built-in plugins active.
    Create {
        /// Its name.
        tenant: TenantId,
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        form: Form,
    },
    /// List the tenants.
    List {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        form: Form,
    },
}

impl Tenant {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Create { tenant, server, form } => {
                let made = json!({ "tenant": tenant });
                server.admin()?.send_json(Method::POST, "tenants", Some(&made)).await?;
                form.answer(&made, |_| styled(GOOD, &format!("tenant {tenant} is there")))?;
            }
            Command::List { server, form } => {
                let tenants: Value = server.admin()?.get("tenants", &[]).await?;
                form.answer(&tenants, names)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn names(tenants: &Value) -> String {
    let names = tenants.get("tenants").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}
