//! What `cargo metadata` says of a workspace, as far as the checks ask.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::command;

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
    /// Absent where dependencies were not asked for.
    pub(crate) resolve: Option<Resolve>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
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

/// Which package really gets which, by package id.
#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) dependencies: Vec<String>,
}

impl Metadata {
    /// The workspace's own packages only; asks no registry.
    pub(crate) fn of_workspace(mut cargo: Command) -> Result<Self> {
        Self::read(cargo.args(["metadata", "--format-version", "1", "--no-deps"]))
    }

    /// With everything they depend on; fails where `Cargo.lock` is not up to date.
    pub(crate) fn with_dependencies(mut cargo: Command) -> Result<Self> {
        Self::read(cargo.args(["metadata", "--format-version", "1", "--locked"]))
    }

    fn read(command: &mut Command) -> Result<Self> {
        let json = command::output(command)?;
        serde_json::from_str(&json)
            .with_context(|| format!("unexpected answer of {}", command::line(command)))
    }
}
