//! A plugin's project: a folder with `switchhook.toml`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer as _, value::Error},
};
use switchhook_core::policy::{Slot, is_word};

/// Name of the file that makes a folder a project.
pub(crate) const FILE: &str = "switchhook.toml";

/// A plugin's project.
#[derive(Debug)]
pub(crate) struct Project {
    /// Where it lies.
    pub(crate) folder: PathBuf,
    /// What its file says.
    pub(crate) manifest: Manifest,
}

/// `switchhook.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The plugin's name within a tenant.
    pub(crate) name: String,
    /// Where it belongs.
    pub(crate) slot: Slot,
    /// What it is written in.
    pub(crate) language: Language,
}

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// The smallest and fastest components.
    Rust,
    /// On `SpiderMonkey`, by `ComponentizeJS`; with types for editors.
    #[value(name = "javascript")]
    JavaScript,
    /// JavaScript on the `QuickJS` engine, by componentize-qjs: smaller and faster, built in a second.
    #[value(name = "quickjs")]
    QuickJs,
    /// By componentize-py.
    Python,
}

impl Project {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).with_context(|| {
            format!("{} is no plugin's project; make one with `switchhook plugin new`", folder.display())
        })?;
        let manifest: Manifest =
            toml::from_str(&text).with_context(|| format!("{} is not understood", path.display()))?;
        ensure!(is_word(&manifest.name), "{}: the name is not 1 to 64 of a-z, 0-9 and '-'", path.display());
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// Where its component is built to.
    pub(crate) fn component(&self) -> PathBuf {
        self.folder.join("build").join(format!("{}.wasm", self.manifest.name))
    }
}

impl Language {
    /// Its word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::JavaScript => "javascript",
            Self::QuickJs => "quickjs",
            Self::Python => "python",
        }
    }
}

/// Reads a slot on the command line.
pub(crate) fn slots() -> impl TypedValueParser<Value = Slot> {
    let all = [Slot::RegistrationMethod, Slot::NatPolicy, Slot::InviteRouter].map(Slot::as_str);
    PossibleValuesParser::new(all)
        .try_map(|word| Slot::deserialize(word.as_str().into_deserializer()).map_err(|error: Error| error))
}
