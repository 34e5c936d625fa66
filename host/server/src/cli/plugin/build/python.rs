//! Python: componentize-py puts the sources and an interpreter into a component.
//!
//! WASI is stubbed: an interpreter finds no clock, no randomness and no files, and a host has none to give.

use std::fs;

use anyhow::Result;

use super::tool::{is_stale, run, tool};
use crate::cli::plugin::project::Project;

const INSTALL: &str = "install Python 3.10 or newer, with venv";

pub(super) fn build(project: &Project) -> Result<()> {
    install(project)?;
    let world = project.manifest.slot.as_str();
    let mut componentize = tool(project.folder.join(".venv/bin/componentize-py"), &project.folder)?;
    componentize.args([
        "--wit-path",
        "wit",
        "--world",
        world,
        "componentize",
        "--stub-wasi",
        "app",
        "--output",
    ]);
    run(componentize.arg(format!("build/{}.wasm", project.manifest.name)), INSTALL)
}

/// What `requirements.txt` names, into an environment of the project's own; again when that has changed.
fn install(project: &Project) -> Result<()> {
    let (wanted, installed) =
        (project.folder.join("requirements.txt"), project.folder.join(".venv/installed"));
    if !is_stale(&installed, &wanted) {
        return Ok(());
    }
    run(tool("python3", &project.folder)?.args(["-m", "venv", ".venv"]), INSTALL)?;
    let mut pip = tool(project.folder.join(".venv/bin/pip"), &project.folder)?;
    run(pip.args(["install", "--quiet", "--requirement", "requirements.txt"]), INSTALL)?;
    Ok(fs::write(installed, "")?)
}
