//! `switchhook plugin new`: a folder with a plugin that works.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::Serialize;
use switchhook_core::policy::{Slot, is_word};

use super::{
    project::{Language, slots},
    templates,
};
use crate::cli::print::{Form, GOOD, styled};

/// Makes a folder with a plugin that works.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// What the plugin decides.
    #[arg(long, value_parser = slots())]
    slot: Slot,
    /// What it is written in.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// The plugin's name: 1 to 64 of a-z, 0-9 and '-'.
    name: String,
    /// The folder; by default one of the plugin's name.
    #[arg(long)]
    folder: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Serialize)]
struct Made {
    folder: PathBuf,
    files: Vec<String>,
}

impl New {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let Self { slot, lang, name, folder, form } = self;
        ensure!(
            is_word(&name) && name.starts_with(|c: char| c.is_ascii_lowercase()),
            "{name:?} is no name for a plugin: a letter a-z, then up to 63 of a-z, 0-9 and '-'"
        );
        let folder = folder.unwrap_or_else(|| PathBuf::from(&name));
        let taken = fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
        ensure!(!taken, "{} is not empty; choose another folder with --folder", folder.display());
        let mut files = Vec::new();
        for file in templates::files(&name, slot, lang) {
            let path = folder.join(&file.path);
            let parent = path.parent().context("a file lies in a folder")?;
            fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
            fs::write(&path, file.text).with_context(|| format!("cannot write {}", path.display()))?;
            files.push(file.path);
        }
        form.answer(&Made { folder, files }, words)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn words(made: &Made) -> String {
    let (done, folder) = (styled(GOOD, "made"), made.folder.display());
    format!("{done} {folder}; next:\n  cd {folder}\n  switchhook plugin build\n  switchhook plugin test")
}
