//! `switchhook plugin build`: from sources to a component.
//!
//! Each language's own tools do the work, at the versions that the project names; what they need is
//! installed into the project's folder at the first build.

mod javascript;
mod npm;
mod python;
mod quickjs;
mod rust;
mod tool;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;

use super::{
    project::{Language, Project},
    report, stage,
};
use crate::cli::print::{Form, progress};

/// Builds a project's component and says what a host would say about it.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The project's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    form: Form,
}

impl Build {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let project = Project::read(&self.folder)?;
        let component = project.component();
        let folder = component.parent().context("a component lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        match project.manifest.language {
            Language::Rust => rust::build(&project)?,
            Language::JavaScript => javascript::build(&project)?,
            Language::QuickJs => quickjs::build(&project)?,
            Language::Python => python::build(&project)?,
        }
        progress(&format!("built {}", component.display()));
        let bytes = fs::read(&component).with_context(|| format!("no {} was built", component.display()))?;
        let report = stage::examine(&stage::runtime()?, &bytes, project.manifest.slot).await?.report;
        self.form.answer(&report, report::words)?;
        Ok(ExitCode::from(u8::from(!report.accepted())))
    }
}
