//! Where things lie: the three workspaces and their files.

use std::{
    env, fs, iter,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{command, metadata::Metadata};

/// Workspaces of their own, since their crates are built for WebAssembly.
const GUEST_WORKSPACES: [&str; 2] = ["plugins", "tests/guests"];

/// Folders without sources of ours.
const NOT_OURS: [&str; 3] = ["target", ".git", "node_modules"];

/// The checkout that xtask works on.
#[derive(Debug)]
pub(crate) struct Repository {
    root: PathBuf,
}

impl Repository {
    /// Finds the checkout through the package that cargo says it runs: a binary in a shared target
    /// folder may have been built from another one.
    pub(crate) fn find() -> Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).parent().context("xtask has no folder above it")?.to_owned();
        Ok(Self { root })
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A path as one would name it from the root.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// A cargo command in the main workspace.
    pub(crate) fn cargo(&self) -> Command {
        command::cargo(&self.root)
    }

    /// Cargo commands in the workspaces of guests that exist, each with the target folder that guests share.
    pub(crate) fn guest_cargos(&self) -> Result<Vec<Command>> {
        let target = Metadata::of_workspace(self.cargo())?.target_directory.join("guests");
        let folders = GUEST_WORKSPACES.map(|folder| self.path(folder)).into_iter();
        let present = folders.filter(|folder| folder.join("Cargo.toml").exists());
        Ok(present
            .map(|folder| {
                let mut cargo = command::cargo(&folder);
                cargo.env("CARGO_TARGET_DIR", &target);
                cargo
            })
            .collect())
    }

    /// One cargo command for each workspace, the main one first.
    pub(crate) fn cargos(&self) -> Result<impl Iterator<Item = Command>> {
        Ok(iter::once(self.cargo()).chain(self.guest_cargos()?))
    }

    /// Every file of ours whose name ends so, in a stable order.
    pub(crate) fn files(&self, extension: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let entries =
                fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() && !path.is_symlink() {
                    let ours = path
                        .file_name()
                        .is_some_and(|name| !NOT_OURS.iter().any(|not_ours| name == *not_ours));
                    folders.extend(ours.then_some(path));
                } else if path.extension().is_some_and(|found| found == extension) {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}
