//! `switchhook restore`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use super::{installation::Installation, print::Form};
use crate::backup::{self, Keys};

/// Makes an installation from a backup, in an empty data folder; or tells one whose database came back by other means.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A folder that `switchhook backup` made.
    #[arg(required_unless_present = "adopt", conflicts_with = "adopt")]
    from: Option<PathBuf>,
    /// The database is back already, from PostgreSQL's own backup or as a file: only tell it, so that clients notice.
    /// Before the first start.
    #[arg(long)]
    adopt: bool,
    /// The installation's root.keys, where the backup has none.
    #[arg(long, value_name = "FILE", conflicts_with = "adopt")]
    keys: Option<PathBuf>,
    /// Goes on without the keys: gateways' secrets, tickets and attempts are lost.
    #[arg(long, conflicts_with_all = ["adopt", "keys"])]
    new_keys: bool,
    #[command(flatten)]
    installation: Installation,
    #[command(flatten)]
    form: Form,
}

impl Restore {
    pub(crate) async fn run(self) -> Result<()> {
        let settings = self.installation.settings()?;
        let restored = if self.adopt {
            backup::adopt(&settings).await?
        } else {
            let from = self.from.as_ref().context("which backup?")?;
            backup::restore(from, &settings, &self.keys()).await?
        };
        self.form.answer(&restored, ToString::to_string)
    }

    fn keys(&self) -> Keys {
        match &self.keys {
            Some(file) => Keys::Of(file.clone()),
            None if self.new_keys => Keys::New,
            None => Keys::OfBackup,
        }
    }
}
