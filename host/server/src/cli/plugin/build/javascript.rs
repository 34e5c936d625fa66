//! JavaScript: `ComponentizeJS` puts the sources into an engine, which becomes a component.
//!
//! Everything of the engine that would ask a host for more than the contract offers is switched off:
//! no clock, no randomness, no standard output, no network.

use anyhow::Result;

use super::tool::{is_stale, run, tool};
use crate::cli::plugin::project::Project;

const INSTALL: &str = "install Node.js 20 or newer, with npm";

pub(super) fn build(project: &Project) -> Result<()> {
    install(project)?;
    let jco = project.folder.join("node_modules/.bin/jco");
    let world = project.manifest.slot.as_str();
    let mut types = tool(&jco, &project.folder)?;
    run(types.args(["guest-types", "wit", "--world-name", world, "--out-dir", "types", "--quiet"]), INSTALL)?;
    let mut componentize = tool(&jco, &project.folder)?;
    componentize.args(["componentize", "app.js", "--wit", "wit", "--world-name", world]);
    componentize.args(["--disable", "all", "--out"]).arg(format!("build/{}.wasm", project.manifest.name));
    run(&mut componentize, INSTALL)
}

/// What `package.json` names, into the project's folder; again when that has changed.
fn install(project: &Project) -> Result<()> {
    let (wanted, installed) =
        (project.folder.join("package.json"), project.folder.join("node_modules/.package-lock.json"));
    if !is_stale(&installed, &wanted) {
        return Ok(());
    }
    let locked = project.folder.join("package-lock.json").is_file();
    let mut npm = tool("npm", &project.folder)?;
    run(npm.args([if locked { "ci" } else { "install" }, "--no-audit", "--no-fund"]), INSTALL)
}
