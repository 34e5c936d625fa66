//! `switchhook mail`: the mail server of a tenant, on a running server.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_protocol::endpoint::EndpointId;

use super::{
    at_tenant::AtTenant,
    input::{secret_of, text_of},
    print::{GOOD, styled},
};

/// Sets, shows and removes the mail server of a tenant; its password is never shown again.
#[derive(Debug, Args)]
pub(crate) struct Mail {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set the mail server, and what mails with a link say.
    Set(Set),
    /// Show it, without its password.
    Show {
        #[command(flatten)]
        at: AtTenant,
    },
    /// Remove it; mails that wait for it fail.
    Remove {
        #[command(flatten)]
        at: AtTenant,
    },
}

#[derive(Debug, Args)]
struct Set {
    /// The mail server's name or address.
    #[arg(long)]
    host: String,
    /// Its port; by default 465 with tls, 587 with starttls and 25 with plain.
    #[arg(long)]
    port: Option<u16>,
    /// How the connection is hidden; plain only inside networks that the operator has allowed.
    #[arg(long, value_enum, default_value_t = Security::Tls)]
    security: Security,
    /// Who signs in; without it, nobody has to.
    #[arg(long)]
    user: Option<String>,
    /// File with the user's password, `-` for standard input; without it the present one stays as long as server and
    /// user do.
    #[arg(long, requires = "user")]
    secret_file: Option<PathBuf>,
    /// The address that mails come from.
    #[arg(long)]
    sender: EndpointId,
    /// How mail programs name the sender.
    #[arg(long, default_value = "")]
    sender_name: String,
    /// File with the template of mails with a link: the subject, an empty line, and the text, with `{link}`, `{token}`
    /// and `{address}`. Without it, a few English sentences.
    #[arg(long)]
    template: Option<PathBuf>,
    #[command(flatten)]
    at: AtTenant,
}

/// The words of the API.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Security {
    Tls,
    #[value(name = "starttls")]
    StartTls,
    Plain,
}

impl Mail {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Set(set) => set.run().await?,
            Command::Show { at } => {
                let server: Value = at.admin()?.get(&at.path(MAIL_SERVER), &[]).await?;
                at.form.answer(&server, |server| format!("{server:#}"))?;
            }
            Command::Remove { at } => {
                at.admin()?.send_json(Method::DELETE, &at.path(MAIL_SERVER), None).await?;
                at.form.answer(&json!({ "removed": true }), |_| styled(GOOD, "removed"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Set {
    async fn run(self) -> Result<()> {
        let Self { host, port, security, user, secret_file, sender, sender_name, template, at } = self;
        let (word, usual) = security.word_and_port();
        let password = secret_file.as_deref().map(secret_of).transpose()?;
        let mut body = json!({
            "host": host, "port": port.unwrap_or(usual), "security": word, "user": user, "password": password,
            "sender": sender, "sender_name": sender_name,
        });
        if let (Some(file), Some(body)) = (&template, body.as_object_mut()) {
            body.insert("template".to_owned(), parsed(&text_of(file)?)?);
        }
        let set = at.admin()?.send_json(Method::PUT, &at.path(MAIL_SERVER), Some(&body)).await?;
        at.form.answer(&set, |_| styled(GOOD, "the mail server is set"))
    }
}

impl Security {
    const fn word_and_port(self) -> (&'static str, u16) {
        match self {
            Self::Tls => ("tls", 465),
            Self::StartTls => ("starttls", 587),
            Self::Plain => ("plain", 25),
        }
    }
}

/// A template's file: the subject's line, an empty one, and the text.
fn parsed(file: &str) -> Result<Value> {
    let mut lines = file.splitn(3, '\n');
    let subject = lines.next().unwrap_or_default().trim_end();
    let between = lines.next().unwrap_or_default();
    ensure!(between.trim().is_empty(), "a template is the subject, an empty line, and the text");
    Ok(json!({ "subject": subject, "text": lines.next().unwrap_or_default() }))
}

/// Where the tenant's mail server is.
const MAIL_SERVER: &str = "mail-server";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_templates_file_is_its_subject_an_empty_line_and_its_text() {
        let read = parsed("Hello\r\n\r\nOpen {link}\nBye\n").unwrap();
        assert_eq!(read, json!({ "subject": "Hello", "text": "Open {link}\nBye\n" }));
        parsed("Hello\nOpen {link}\n").unwrap_err();
    }
}
