//! JavaScript: `ComponentizeJS` puts the sources into an engine, which becomes a component.
//!
//! Everything of the engine that would ask a host for more than the contract offers is switched off:
//! no clock, no randomness, no standard output, no network.

use anyhow::Result;

use super::{
    npm,
    tool::{run, tool},
};
use crate::cli::plugin::project::Project;

pub(super) fn build(project: &Project) -> Result<()> {
    npm::install(project)?;
    let jco = project.folder.join("node_modules/.bin/jco");
    let world = project.manifest.slot.as_str();
    let mut types = tool(&jco, &project.folder)?;
    run(
        types.args(["guest-types", "wit", "--world-name", world, "--out-dir", "types", "--quiet"]),
        npm::INSTALL,
    )?;
    let mut componentize = tool(&jco, &project.folder)?;
    componentize.args(["componentize", "app.js", "--wit", "wit", "--world-name", world]);
    componentize.args(["--disable", "all", "--out"]).arg(format!("build/{}.wasm", project.manifest.name));
    run(&mut componentize, npm::INSTALL)
}
