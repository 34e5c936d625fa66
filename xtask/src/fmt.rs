//! One look for all workspaces.
//!
//! The two settings about imports are unstable: from the command line the stable toolchain takes
//! them, from `rustfmt.toml` it silently does not.

use anyhow::Result;

use crate::{command, repository::Repository};

const SETTINGS: [&str; 4] = [
    "--config",
    "unstable_features=true",
    "--config",
    "imports_granularity=Crate,group_imports=StdExternalCrate",
];

pub(crate) fn fmt(repository: &Repository, check: bool) -> Result<()> {
    for mut cargo in repository.cargos()? {
        cargo.args(["fmt", "--all", "--"]).args(SETTINGS).args(check.then_some("--check"));
        command::run(&mut cargo)?;
    }
    Ok(())
}
