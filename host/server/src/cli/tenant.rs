//! `switchhook tenant`: tenants of a running server.

mod client_authority;
mod may_ring;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_protocol::id::TenantId;

use super::{
    admin::Server,
    print::{Form, GOOD, styled},
};

/// Makes and lists tenants, for the operator; sets how much a tenant's devices may do, who may ring whom, and whose
/// certificates devices need.
#[derive(Debug, Args)]
pub(crate) struct Tenant {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a tenant, with the built-in plugins active.
    Create {
        #[command(flatten)]
        of: Named,
    },
    /// Show how much a tenant's devices may do, or change what is named: `invites_of_device=60`, and without a
    /// value, `invites_of_device=`, back to the operator's.
    Limits {
        #[command(flatten)]
        of: Named,
        /// What to change.
        #[arg(value_name = "NAME=NUMBER")]
        changes: Vec<String>,
    },
    /// Show who may ring whom, or change it.
    MayRing(may_ring::MayRing),
    /// Whose certificates a tenant's devices need.
    ClientAuthority(client_authority::ClientAuthority),
    /// List the tenants.
    List {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        form: Form,
    },
}

/// A tenant by its name, its server, and whom the command answers.
#[derive(Debug, Args)]
struct Named {
    /// The tenant's name.
    tenant: TenantId,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    form: Form,
}

impl Named {
    /// An address below the tenant's.
    fn path(&self, below: &str) -> String {
        format!("tenants/{}/{below}", self.tenant)
    }
}

impl Tenant {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Create { of: Named { tenant, server, form } } => {
                let made = json!({ "tenant": tenant });
                server.admin()?.send_json(Method::POST, "tenants", Some(&made)).await?;
                form.answer(&made, |_| styled(GOOD, &format!("tenant {tenant} is there")))?;
            }
            Command::Limits { of, changes } => {
                let (admin, path) = (of.server.admin()?, of.path("limits"));
                if !changes.is_empty() {
                    let (shown, tag): (Value, _) = admin.get_tagged(&path).await?;
                    let own = shown.get("own").cloned().unwrap_or_default();
                    admin.replace(&path, tag, &changed(own, &changes)?).await?;
                }
                of.form.answer(&admin.get::<Value>(&path, &[]).await?, bounds)?;
            }
            Command::MayRing(command) => return command.run().await,
            Command::ClientAuthority(command) => return command.run().await,
            Command::List { server, form } => {
                let tenants: Value = server.admin()?.get("tenants", &[]).await?;
                form.answer(&tenants, names)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A tenant's own bounds with these changes.
fn changed(mut own: Value, changes: &[String]) -> Result<Value> {
    let bounds = own.as_object_mut().context("the server's answer has no bounds")?;
    for change in changes {
        let (name, number) =
            change.split_once('=').with_context(|| format!("{change}: write NAME=NUMBER"))?;
        if number.is_empty() {
            bounds.remove(name);
        } else {
            let number: u32 = number.parse().with_context(|| format!("{change}: write NAME=NUMBER"))?;
            bounds.insert(name.to_owned(), number.into());
        }
    }
    Ok(own)
}

/// A line for each bound: what counts, and of how much.
fn bounds(shown: &Value) -> String {
    let in_force = shown.get("in_force").and_then(Value::as_object).into_iter().flatten();
    let most = |name: &str| shown.get("most").and_then(|most| most.get(name)).cloned().unwrap_or_default();
    in_force
        .map(|(name, value)| format!("{name:<24}{value:>8} of {}", most(name)))
        .collect::<Vec<_>>()
        .join("\n")
}

fn names(tenants: &Value) -> String {
    let names = tenants.get("tenants").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_a_bound_and_a_number_or_gives_it_back() {
        let own = json!({ "fan_out": 3, "invites_of_pair": 2 });
        let changes = ["fan_out=9".to_owned(), "invites_of_pair=".to_owned()];
        assert_eq!(changed(own, &changes).unwrap(), json!({ "fan_out": 9 }));
        for wrong in ["fan_out", "fan_out=many"] {
            changed(json!({}), &[wrong.to_owned()]).unwrap_err();
        }
    }
}
