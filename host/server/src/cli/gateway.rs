//! `switchhook gateway`: the SMS gateways of a tenant, on a running server.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_core::row::{Provider, SmppAccount, TwilioAccount};
use switchhook_protocol::id::GatewayId;

use super::{
    at_tenant::AtTenant,
    input::{secret_of, text_of},
    print::{GOOD, styled},
};

/// Sets, lists and removes the SMS gateways of a tenant; their secrets are never shown again.
#[derive(Debug, Args)]
pub(crate) struct Gateway {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a gateway, or replace the one of this name.
    #[command(subcommand)]
    Set(Set),
    /// List the gateways, without their secrets.
    List {
        #[command(flatten)]
        at: AtTenant,
    },
    /// Set the carrier bundle: which number a client texts, by its SIM's carrier.
    SetCarriers {
        /// A JSON list of entries; `-` is standard input.
        file: PathBuf,
        #[command(flatten)]
        at: AtTenant,
    },
    /// Show what texts may cost.
    Policy {
        #[command(flatten)]
        at: AtTenant,
    },
    /// Set what texts may cost: all of it, what is not said is without a bound.
    SetPolicy {
        /// Short messages of one day (UTC).
        #[arg(long)]
        per_day: Option<u32>,
        /// Beginning of the numbers that are texted, such as `+49`; may be repeated; without it, all.
        #[arg(long)]
        country: Vec<String>,
        /// Text typed numbers only if the numbering plan of their country has such numbers.
        #[arg(long)]
        only_valid: bool,
        #[command(flatten)]
        at: AtTenant,
    },
    /// Remove a gateway; texts that wait for it fail.
    Remove {
        /// Its name.
        gateway: GatewayId,
        #[command(flatten)]
        at: AtTenant,
    },
}

#[derive(Debug, Subcommand)]
enum Set {
    /// The generic gateway: JSON over HTTP, signed in both directions.
    Webhook {
        #[command(flatten)]
        common: Common,
        /// Where the host asks it to send a text.
        #[arg(long)]
        send_url: String,
    },
    /// Twilio, or what speaks like it; the secret is the account's auth token.
    Twilio {
        #[command(flatten)]
        common: Common,
        /// The account's SID.
        #[arg(long)]
        account: String,
        /// SID of a messaging service that texts go out by, instead of the gateway's number.
        #[arg(long)]
        messaging_service: Option<String>,
        /// Where its REST API is.
        #[arg(long, default_value_t = TwilioAccount::api_url())]
        api_url: String,
    },
    /// An SMSC, by SMPP 3.4; the secret is the password.
    Smpp {
        #[command(flatten)]
        common: Common,
        /// The SMSC: host:port.
        #[arg(long = "address", id = "smsc_address", value_name = "ADDRESS")]
        address: String,
        /// Connect by TLS.
        #[arg(long)]
        tls: bool,
        /// Who binds.
        #[arg(long)]
        system_id: String,
        /// What kind of system binds, if the SMSC wants to know.
        #[arg(long, default_value = "")]
        system_type: String,
        /// Take a sender whose type of number is unknown for an international number.
        #[arg(long)]
        unknown_is_international: bool,
        /// Submissions that may be unanswered at once, on each node.
        #[arg(long, default_value_t = SmppAccount::window())]
        window: u16,
    },
}

/// What every gateway has.
#[derive(Debug, Args)]
struct Common {
    /// Its name.
    gateway: GatewayId,
    /// The number or short code that devices text to, and that texts come from.
    #[arg(long)]
    number: String,
    /// Beginning of the numbers that it serves, such as `+49`; may be repeated; without it, all.
    #[arg(long)]
    serves: Vec<String>,
    /// File with the secret, `-` for standard input; without it the present one stays as long as address and
    /// account do, or one is made where the host may make it.
    #[arg(long)]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    at: AtTenant,
}

impl Gateway {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Set(set) => set.run().await?,
            Command::List { at } => {
                let gateways: Value = at.admin()?.get(&at.path(GATEWAYS), &[]).await?;
                at.form.answer(&gateways, rows)?;
            }
            Command::SetCarriers { file, at } => {
                let carriers: Value = serde_json::from_str(&text_of(&file)?)?;
                let body = json!({ "carriers": carriers });
                let set = at.admin()?.send_json(Method::PUT, &at.path("carriers"), Some(&body)).await?;
                at.form
                    .answer(&set, |set| styled(GOOD, &format!("the bundle is version {}", set["version"])))?;
            }
            Command::Policy { at } => {
                let policy: Value = at.admin()?.get(&at.path(POLICY), &[]).await?;
                at.form.answer(&policy, |policy| format!("{policy:#}"))?;
            }
            Command::SetPolicy { per_day, country, only_valid, at } => {
                let policy = json!({ "per_day": per_day, "countries": country, "only_valid": only_valid });
                let set = at.admin()?.send_json(Method::PUT, &at.path(POLICY), Some(&policy)).await?;
                at.form.answer(&set, |_| styled(GOOD, "the policy is set"))?;
            }
            Command::Remove { gateway, at } => {
                let path = at.path(&format!("{GATEWAYS}/{gateway}"));
                at.admin()?.send_json(Method::DELETE, &path, None).await?;
                at.form.answer(&json!({ "removed": gateway }), |_| styled(GOOD, "removed"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Set {
    async fn run(self) -> Result<()> {
        let (common, provider) = match self {
            Self::Webhook { common, send_url } => (common, Provider::Webhook { send_url }),
            Self::Twilio { common, account, messaging_service, api_url } => {
                (common, Provider::Twilio(TwilioAccount { account, api_url, messaging_service }))
            }
            Self::Smpp { common, address, tls, system_id, system_type, unknown_is_international, window } => {
                let account =
                    SmppAccount { address, tls, system_id, system_type, unknown_is_international, window };
                (common, Provider::Smpp(account))
            }
        };
        let Common { gateway, number, serves, secret_file, at } = common;
        let secret = secret_file.as_deref().map(secret_of).transpose()?;
        let body = json!({ "number": number, "provider": provider, "serves": serves, "secret": secret });
        let path = at.path(&format!("{GATEWAYS}/{gateway}"));
        let set = at.admin()?.send_json(Method::PUT, &path, Some(&body)).await?;
        at.form.answer(&set, |set| match set.get("secret").and_then(Value::as_str) {
            // The bare secret, so that it can go into a file.
            Some(secret) => secret.to_owned(),
            None => styled(GOOD, &format!("gateway {gateway} is set")),
        })
    }
}

/// Where the tenant's gateways are.
const GATEWAYS: &str = "gateways";

/// Where its policy of texts is.
const POLICY: &str = "text-policy";

fn rows(gateways: &Value) -> String {
    let row = |gateway: &Value| {
        let text = |pointer| gateway.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        format!("{} {} {}", text("/gateway"), text("/provider/kind"), text("/number"))
    };
    gateways.as_array().into_iter().flatten().map(row).collect::<Vec<_>>().join("\n")
}
