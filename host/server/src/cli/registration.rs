//! `switchhook registration`: who is registered where, on a running server (REG-11).

mod person;
mod settings;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{ApplicationId, DeviceId},
};

use super::{
    at_tenant::AtTenant,
    print::{FAINT, GOOD, styled},
};

/// Lists and revokes registrations, hands out or erases a person's data, says how devices register.
#[derive(Debug, Args)]
pub(crate) struct Registration {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List who is registered where; all of them, or those of an identifier or a device.
    List {
        /// Those of an identifier, such as +15550100.
        #[arg(long, conflicts_with = "device")]
        endpoint: Option<EndpointId>,
        /// Those of a device.
        #[arg(long)]
        device: Option<DeviceId>,
        /// Those of an application alone.
        #[arg(long)]
        application: Option<ApplicationId>,
        #[command(flatten)]
        at: AtTenant,
    },
    /// Take an identifier off a device.
    Revoke {
        /// The device's id.
        device: DeviceId,
        /// The identifier.
        endpoint: EndpointId,
        #[command(flatten)]
        at: AtTenant,
    },
    /// Hand out everything that the host has of an identifier, as JSON.
    Export {
        /// The identifier.
        endpoint: EndpointId,
        #[command(flatten)]
        at: AtTenant,
    },
    /// Erase everything of an identifier; devices that nothing else reaches go with it.
    Erase {
        /// The identifier.
        endpoint: EndpointId,
        /// Yes, really: it cannot be undone.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        at: AtTenant,
    },
    /// Show when devices register again by themselves, and which numbers are for tests; or change it.
    Settings(settings::Settings),
}

impl Registration {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::List { endpoint, device, application, at } => {
                let wanted = [
                    endpoint.map(|endpoint| ("endpoint", String::from(endpoint))),
                    device.map(|device| ("device", String::from(device))),
                    application.map(|application| ("application", String::from(application))),
                ];
                let listed = all(&at, wanted.into_iter().flatten().collect()).await?;
                at.form.answer(&json!({ "registrations": listed }), |_| rows(&listed))?;
            }
            Command::Revoke { device, endpoint, at } => {
                let path = at.path(&format!("registrations/{device}"));
                at.admin()?.delete(&path, &[("endpoint", endpoint.reveal().to_owned())]).await?;
                at.form.answer(&json!({ "revoked": endpoint }), |_| styled(GOOD, "revoked"))?;
            }
            Command::Export { endpoint, at } => person::export(&at, &endpoint).await?,
            Command::Erase { endpoint, yes, at } => person::erase(&at, &endpoint, yes).await?,
            Command::Settings(command) => command.run().await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All pages of the list.
async fn all(at: &AtTenant, wanted: Vec<(&'static str, String)>) -> Result<Vec<Value>> {
    let (admin, path) = (at.admin()?, at.path("registrations"));
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let mut query = wanted.clone();
        query.extend(after.map(|after| ("after", after)));
        let page: Value = admin.get(&path, &query).await?;
        all.extend(page.get("registrations").and_then(Value::as_array).into_iter().flatten().cloned());
        let Some(next) = page.get("next").and_then(Value::as_str) else { return Ok(all) };
        after = Some(next.to_owned());
    }
}

fn rows(listed: &[Value]) -> String {
    let text = |row: &Value, name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let row = |row: &Value| {
        let how = format!("{} {}", text(row, "application"), text(row, "method"));
        format!("{} {} {}", text(row, "endpoint"), text(row, "device"), styled(FAINT, &how))
    };
    listed.iter().map(row).collect::<Vec<_>>().join("\n")
}
