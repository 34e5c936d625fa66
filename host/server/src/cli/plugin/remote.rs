//! What is done with a plugin on a running server, by its admin API.

pub(crate) mod built_in;
pub(crate) mod change;
pub(crate) mod grant;
pub(crate) mod logs;
pub(crate) mod secret;
pub(crate) mod show;
pub(crate) mod upload;

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;
use switchhook_core::policy::Slot;
use switchhook_protocol::id::MethodName;

use super::project::{Project, slots};
use crate::cli::{admin::Admin, at_tenant::AtTenant};

/// A plugin of a tenant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Remote {
    #[command(flatten)]
    pub(crate) at: AtTenant,
    /// The slot; by default that of the project in this folder.
    #[arg(long, value_parser = slots())]
    slot: Option<Slot>,
    /// The plugin's name; by default that of the project in this folder.
    #[arg(long)]
    name: Option<MethodName>,
}

/// A plugin of a tenant, and the API to ask.
pub(crate) struct Chosen {
    pub(crate) admin: Admin,
    /// Its address below the API.
    path: String,
}

impl Remote {
    /// The plugin that is named, or that of the project here.
    pub(crate) fn chosen(&self) -> Result<Chosen> {
        let (slot, name) = match (self.slot, &self.name) {
            (Some(slot), Some(name)) => (slot, name.clone()),
            (slot, name) => of_project(slot, name.clone())?,
        };
        self.of(slot, &name)
    }

    /// The plugin that is named, or else this one.
    pub(crate) fn chosen_or(&self, slot: Slot, name: Option<&str>) -> Result<Chosen> {
        let named = name.map(str::parse).transpose().context("the project's name is no plugin's name")?;
        let name = self.name.clone().or(named).context("say with --name what the plugin is called")?;
        self.of(self.slot.unwrap_or(slot), &name)
    }

    fn of(&self, slot: Slot, name: &MethodName) -> Result<Chosen> {
        let path = self.at.path(&format!("plugins/{slot}/{name}"));
        Ok(Chosen { admin: self.at.admin()?, path })
    }
}

impl Chosen {
    /// An address below the plugin's.
    pub(crate) fn path(&self, below: &str) -> String {
        if below.is_empty() { self.path.clone() } else { format!("{}/{below}", self.path) }
    }
}

fn of_project(slot: Option<Slot>, name: Option<MethodName>) -> Result<(Slot, MethodName)> {
    let project = Project::read(Path::new(".")).context("name the plugin with --slot and --name")?;
    let own = project.manifest.name.parse().context("the project's name is no plugin's name")?;
    Ok((slot.unwrap_or(project.manifest.slot), name.unwrap_or(own)))
}
