//! `switchhook relay-hosts`: the operator's relay hosts, on a running server.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use switchhook_core::relay_host::RelayAddresses;
use switchhook_protocol::id::RelayHostId;

use super::{
    admin::Server,
    print::{BAD, FAINT, Form, GOOD, ODD, styled},
};

/// Lists, adds, drains and removes relay hosts.
#[derive(Debug, Args)]
pub(crate) struct RelayHosts {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the relay hosts: where they are, how full, and whether they live.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Make a token for a relay host of this id, for `switchhook relay`; it is shown this once. The id is the host's
    /// for good, also with another token.
    Add {
        /// Its id.
        host: RelayHostId,
        /// Days until the token counts no more.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
        days: u64,
        #[command(flatten)]
        at: At,
    },
    /// Send nobody to a relay host any more; who is there stays.
    Drain {
        /// Its id.
        host: RelayHostId,
        /// Send people there again.
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        at: At,
    },
    /// Forget a relay host, and let its tokens count no more.
    Remove {
        /// Its id.
        host: RelayHostId,
        #[command(flatten)]
        at: At,
    },
}

/// Which server, and whom the command answers.
#[derive(Debug, Args)]
struct At {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    form: Form,
}

#[derive(Deserialize)]
struct Listed {
    relay_hosts: Vec<Host>,
}

#[derive(Deserialize)]
struct Host {
    #[serde(rename = "host")]
    id: RelayHostId,
    built_in: bool,
    region: String,
    addresses: RelayAddresses,
    capacity: u32,
    held: u32,
    state: String,
}

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl RelayHosts {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::List { at } => {
                let hosts: Value = at.server.admin()?.get("relay-hosts", &[]).await?;
                let listed: Listed = serde_json::from_value(hosts.clone())?;
                at.form
                    .answer(&hosts, |_| listed.relay_hosts.iter().map(row).collect::<Vec<_>>().join("\n"))?;
            }
            Command::Add { host, days, at } => {
                let label = format!("relay host {host}");
                let body = json!({ "label": label, "relay_host": host, "expires_in_ms": days * DAY_MS });
                let made = at.server.admin()?.send_json(Method::POST, "tokens", Some(&body)).await?;
                // The bare token, so that it can go into a file.
                let token = made.get("token").and_then(Value::as_str).unwrap_or_default().to_owned();
                at.form.answer(&made, |_| token)?;
            }
            Command::Drain { host, undo, at } => {
                let (path, body) = (format!("relay-hosts/{host}/drain"), json!({ "drain": !undo }));
                at.server.admin()?.send_json(Method::PUT, &path, Some(&body)).await?;
                let said = if undo { "people are sent there again" } else { "nobody is sent there any more" };
                at.form.answer(&json!({ "host": host, "drain": !undo }), |_| styled(GOOD, said))?;
            }
            Command::Remove { host, at } => {
                let path = format!("relay-hosts/{host}");
                at.server.admin()?.send_json(Method::DELETE, &path, None).await?;
                at.form.answer(&json!({ "removed": host }), |_| styled(GOOD, "removed"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(host: &Host) -> String {
    let style = match host.state.as_str() {
        "alive" => GOOD,
        "dead" => BAD,
        _ => ODD,
    };
    let state = styled(style, &host.state);
    let kind = if host.built_in { styled(FAINT, " in a node") } else { String::new() };
    let Host { id, region, addresses, held, capacity, .. } = host;
    format!("{id} {state} {region} {} {held}/{capacity}{kind}", addresses.main)
}
