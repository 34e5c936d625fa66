//! JavaScript on `QuickJS`: an engine of a megabyte, with the sources already read in.
//!
//! It asks for a clock and standard output of WASI, and gets what the host makes of the call's context.

use anyhow::Result;

use super::{
    npm,
    tool::{run, tool},
};
use crate::cli::plugin::project::Project;

pub(super) fn build(project: &Project) -> Result<()> {
    npm::install(project)?;
    let mut componentize = tool(project.folder.join("node_modules/.bin/componentize-qjs"), &project.folder)?;
    // Without `--sync` its runtime is one of asynchronous components, which the contract has not.
    componentize.args([
        "--sync",
        "--js",
        "app.js",
        "--wit",
        "wit",
        "--world",
        project.manifest.slot.as_str(),
    ]);
    componentize.arg("--output").arg(format!("build/{}.wasm", project.manifest.name));
    run(&mut componentize, npm::INSTALL)
}
