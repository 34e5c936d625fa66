//! What `cargo metadata` says of a workspace, as far as the checks ask.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::command;

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

/// A package of ours.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) manifest_path: PathBuf,
    /// As declared, for all targets and features.
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) kind: Option<Kind>,
    /// The folder of a package of ours.
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
}

/// Absent in the metadata of an ordinary dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Dev,
    Build,
}

impl Metadata {
    /// Reads the workspace that the cargo command stands in; asks no registry.
    pub(crate) fn of_workspace(mut cargo: Command) -> Result<Self> {
        cargo.args(["metadata", "--format-version", "1", "--no-deps"]);
        let json = command::output(&mut cargo)?;
        serde_json::from_str(&json).with_context(|| format!("unexpected answer of {}", command::line(&cargo)))
    }
}
