//! Which installation a command is about.

use std::path::PathBuf;

use clap::Args;

use crate::Settings;

/// An installation on this machine.
#[derive(Debug, Args)]
pub(crate) struct Installation {
    /// Settings file (TOML).
    #[arg(long, env = "SWITCHHOOK_SETTINGS")]
    settings: Option<PathBuf>,
    /// Data folder; overrides the settings.
    #[arg(long, env = "SWITCHHOOK_DATA")]
    data: Option<PathBuf>,
}

impl Installation {
    /// Its settings.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = match &self.settings {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        if let Some(data) = &self.data {
            settings.data.clone_from(data);
        }
        Ok(settings)
    }
}
