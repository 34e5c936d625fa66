//! `switchhook plugin grant`: what a plugin may do beyond answering.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use switchhook_core::policy::Grants;

use super::Remote;

/// Shows what a plugin may do beyond answering, or changes what is named here.
#[derive(Debug, Args)]
pub(crate) struct Grant {
    /// A host that it may ask over HTTP, such as `crm.example.com` or `*.example.com`; all of them, each by one `--outbound`.
    #[arg(long)]
    outbound: Option<Vec<String>>,
    /// Room for its key-value pairs.
    #[arg(long)]
    key_value_bytes: Option<u64>,
    /// Requests in a minute.
    #[arg(long)]
    fetches_per_minute: Option<u32>,
    /// Takes every grant away.
    #[arg(long, conflicts_with_all = ["outbound", "key_value_bytes", "fetches_per_minute"])]
    nothing: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Grant {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let chosen = self.remote.chosen()?;
        let path = chosen.path("grants");
        let present: Grants = chosen.admin.get(&path, &[]).await?;
        let wanted = self.changed(present.clone());
        if wanted != present {
            wanted.check()?;
            chosen.admin.send_json(Method::PUT, &path, Some(&serde_json::to_value(&wanted)?)).await?;
        }
        self.remote.at.form.answer(&wanted, words)?;
        Ok(ExitCode::SUCCESS)
    }

    fn changed(&self, present: Grants) -> Grants {
        if self.nothing {
            return Grants::default();
        }
        Grants {
            outbound: self.outbound.clone().unwrap_or(present.outbound),
            key_value_bytes: self.key_value_bytes.unwrap_or(present.key_value_bytes),
            fetches_per_minute: self.fetches_per_minute.unwrap_or(present.fetches_per_minute),
        }
    }
}

fn words(Grants { outbound, key_value_bytes, fetches_per_minute }: &Grants) -> String {
    let hosts = if outbound.is_empty() { String::from("none") } else { outbound.join(", ") };
    format!(
        "outbound hosts      {hosts}\nrequests a minute   {fetches_per_minute}\nkey-value bytes     {key_value_bytes}"
    )
}
