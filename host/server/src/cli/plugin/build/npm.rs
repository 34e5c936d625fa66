//! Tools that come from npm.

use anyhow::Result;

use super::tool::{is_stale, run, tool};
use crate::cli::plugin::project::Project;

/// What to do where they are missing.
pub(super) const INSTALL: &str = "install Node.js 20 or newer, with npm";

/// What `package.json` names, into the project's folder; again when that has changed.
pub(super) fn install(project: &Project) -> Result<()> {
    let (wanted, installed) =
        (project.folder.join("package.json"), project.folder.join("node_modules/.package-lock.json"));
    if !is_stale(&installed, &wanted) {
        return Ok(());
    }
    let locked = project.folder.join("package-lock.json").is_file();
    let mut npm = tool("npm", &project.folder)?;
    run(npm.args([if locked { "ci" } else { "install" }, "--no-audit", "--no-fund"]), INSTALL)
}
