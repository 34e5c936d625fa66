//! `switchhook user`: the built-in user directory of a tenant, on a running server (REG-6).

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use switchhook_protocol::endpoint::EndpointId;

use super::{
    at_tenant::AtTenant,
    input::secret_of,
    print::{FAINT, GOOD, styled},
};

/// Adds, lists and removes the users who sign in to register e-mail addresses.
#[derive(Debug, Args)]
pub(crate) struct User {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a user.
    Add {
        /// By which the user signs in: an e-mail address or a name.
        user: EndpointId,
        /// File with the password, `-` for standard input.
        #[arg(long)]
        password_file: PathBuf,
        /// An e-mail address that is known to be the user's: no mail validates it; may be repeated.
        #[arg(long = "address", id = "mail_address", value_name = "ADDRESS")]
        addresses: Vec<EndpointId>,
        #[command(flatten)]
        at: AtTenant,
    },
    /// List the users.
    List {
        #[command(flatten)]
        at: AtTenant,
    },
    /// Show a user, the profile, and what it keeps of addresses and devices.
    Show(One),
    /// Say which addresses are known to be a user's, and whether the user may sign in: all of it.
    Set {
        #[command(flatten)]
        one: One,
        /// An e-mail address that is known to be the user's; may be repeated.
        #[arg(long = "address", id = "mail_address", value_name = "ADDRESS")]
        addresses: Vec<EndpointId>,
        /// Whether the user may sign in.
        #[arg(long, value_enum, default_value_t)]
        state: State,
    },
    /// Give a user another password; the user's devices sign in anew.
    SetPassword {
        #[command(flatten)]
        one: One,
        /// File with the password, `-` for standard input.
        #[arg(long)]
        password_file: PathBuf,
    },
    /// Take all credentials of a user's devices back; they sign in anew.
    RevokeCredentials(One),
    /// Remove a user with the profile; what is registered stays.
    Remove(One),
}

#[derive(Debug, Args)]
struct One {
    /// The user.
    user: EndpointId,
    #[command(flatten)]
    at: AtTenant,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum State {
    #[default]
    Active,
    Blocked,
}

impl User {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Add { user, password_file, addresses, at } => {
                let body = json!({
                    "user": user, "password": secret_of(&password_file)?, "addresses": addresses,
                });
                let made = at.admin()?.send_json(Method::POST, &at.path("users"), Some(&body)).await?;
                at.form.answer(&made, |_| styled(GOOD, "the user is added"))?;
            }
            Command::List { at } => {
                let users = all(&at).await?;
                at.form.answer(&json!({ "users": users }), |_| rows(&users))?;
            }
            Command::Show(one) => {
                let user: Value = one.at.admin()?.get(&one.path("")?, &[]).await?;
                one.at.form.answer(&user, |user| format!("{user:#}"))?;
            }
            Command::Set { one, addresses, state } => {
                let state = match state {
                    State::Active => "active",
                    State::Blocked => "blocked",
                };
                let body = json!({ "addresses": addresses, "state": state });
                one.send(Method::PUT, "", Some(&body), "the user is set").await?;
            }
            Command::SetPassword { one, password_file } => {
                let body = json!({ "password": secret_of(&password_file)? });
                one.send(Method::PUT, "/password", Some(&body), "the password is set").await?;
            }
            Command::RevokeCredentials(one) => {
                one.send(Method::DELETE, "/credentials", None, "the credentials are revoked").await?;
            }
            Command::Remove(one) => one.send(Method::DELETE, "", None, "the user is removed").await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl One {
    /// An address of the user's.
    fn path(&self, below: &str) -> Result<String> {
        let escaped = Url::parse_with_params("http://host", [("user", self.user.reveal())])?;
        let path = self.at.path(&format!("user{below}"));
        Ok(format!("{path}?{}", escaped.query().unwrap_or_default()))
    }

    async fn send(&self, method: Method, below: &str, body: Option<&Value>, done: &str) -> Result<()> {
        self.at.admin()?.send_json(method, &self.path(below)?, body).await?;
        self.at.form.answer(&json!({ "user": self.user }), |_| styled(GOOD, done))
    }
}

/// All pages of the list.
async fn all(at: &AtTenant) -> Result<Vec<Value>> {
    let (admin, path) = (at.admin()?, at.path("users"));
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let query: Vec<_> = after.map(|after| ("after", after)).into_iter().collect();
        let page: Value = admin.get(&path, &query).await?;
        all.extend(page.get("users").and_then(Value::as_array).into_iter().flatten().cloned());
        let Some(next) = page.get("next").and_then(Value::as_str) else { return Ok(all) };
        after = Some(next.to_owned());
    }
}

fn rows(users: &[Value]) -> String {
    let row = |user: &Value| {
        let text = |name: &str| user.get(name).and_then(Value::as_str).unwrap_or_default();
        let addresses = user.get("addresses").and_then(Value::as_array).into_iter().flatten();
        let addresses: Vec<&str> = addresses.filter_map(Value::as_str).collect();
        format!("{} {} {}", text("user"), text("state"), styled(FAINT, &addresses.join(" ")))
    };
    users.iter().map(row).collect::<Vec<_>>().join("\n")
}
