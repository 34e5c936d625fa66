//! `switchhook backup`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{
    installation::Installation,
    print::{Form, progress, size},
};
use crate::backup;

/// Copies the data of a server, running or not, into a new folder.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The backup: a folder, made if missing; what is in it is not overwritten.
    to: PathBuf,
    /// With the root keys and the other secrets: who has the backup can then do everything the server can.
    #[arg(long)]
    with_keys: bool,
    #[command(flatten)]
    installation: Installation,
    #[command(flatten)]
    form: Form,
}

impl Backup {
    pub(crate) async fn run(self) -> Result<()> {
        let told = |copied, all| progress(&format!("{} of about {} copied", size(copied), size(all)));
        let made = backup::make(&self.installation.settings()?, &self.to, self.with_keys, told).await?;
        self.form.answer(&made, ToString::to_string)
    }
}
