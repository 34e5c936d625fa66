//! What a command is about: a project's component, or a file.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use switchhook_core::policy::Slot;
use switchhook_plugin_runtime::MAX_COMPONENT;

use super::project::{FILE, Project, slots};

/// A component, or the project that builds it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Subject {
    /// A project's folder, or a component.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The slot, where a component lies in no project.
    #[arg(long, value_parser = slots())]
    slot: Option<Slot>,
}

/// A component, and where it belongs.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) bytes: Vec<u8>,
    pub(crate) slot: Slot,
    /// The name of its project.
    pub(crate) name: Option<String>,
    /// Its project's folder.
    pub(crate) folder: Option<PathBuf>,
}

impl Subject {
    /// The slot that was named.
    pub(crate) const fn slot(&self) -> Option<Slot> {
        self.slot
    }

    pub(crate) fn find(&self) -> Result<Found> {
        if self.path.is_dir() { self.in_project() } else { self.file() }
    }

    fn in_project(&self) -> Result<Found> {
        let project = Project::read(&self.path)?;
        let path = project.component();
        let bytes = fs::read(&path)
            .with_context(|| format!("no {}: run `switchhook plugin build` first", path.display()))?;
        let Project { folder, manifest } = project;
        let slot = self.slot.unwrap_or(manifest.slot);
        Ok(Found { bytes, slot, name: Some(manifest.name), folder: Some(folder) })
    }

    fn file(&self) -> Result<Found> {
        let path = &self.path;
        let size = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
        ensure!(
            usize::try_from(size).is_ok_and(|size| size <= MAX_COMPONENT),
            "{} has {size} bytes; a component has at most {MAX_COMPONENT}",
            path.display()
        );
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        // A project's component knows its project: `<project>/build/<name>.wasm`.
        let project = path.parent().and_then(|build| build.parent());
        let project = project.filter(|folder| folder.join(FILE).is_file()).map(Project::read).transpose()?;
        let Some(slot) = self.slot.or_else(|| project.as_ref().map(|project| project.manifest.slot)) else {
            bail!("say with --slot which slot {} is for", path.display());
        };
        let (name, folder) = project.map(|project| (project.manifest.name, project.folder)).unzip();
        Ok(Found { bytes, slot, name, folder })
    }
}
