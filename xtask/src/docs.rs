//! Pages that the code writes, committed so that one can read them without building.

use std::{
    env::consts::EXE_SUFFIX,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{command, metadata::Metadata, repository::Repository, setup};

/// Each page and the `switchhook docs …` that prints it.
const PAGES: [(&str, &str); 3] =
    [("docs/CONTRACT.md", "contract"), ("docs/ERRORS.md", "errors"), ("docs/openapi.json", "openapi")];

/// Writes the pages, or with `check` only says which ones are stale.
pub(crate) fn docs(repository: &Repository, check: bool) -> Result<()> {
    setup::wasm_targets(repository)?;
    let program = program_of_tests(repository)?;
    let mut stale = Vec::new();
    for (page, topic) in PAGES {
        let printed = command::output(Command::new(&program).args(["docs", topic]))?;
        let path = repository.path(page);
        if is(&path, &printed) {
            continue;
        }
        if check {
            stale.push(page);
        } else {
            fs::write(&path, printed).with_context(|| format!("cannot write {page}"))?;
            println!("wrote {page}");
        }
    }
    if !stale.is_empty() {
        bail!("not what the code says: {}; `cargo xtask docs` writes it anew", stale.join(", "));
    }
    Ok(())
}

/// The server as the tests build it: another set of features would build it, and what compiles guests, once more.
fn program_of_tests(repository: &Repository) -> Result<PathBuf> {
    command::run(repository.cargo().args(["test", "--workspace", "--no-run", "--quiet"]))?;
    let target = Metadata::of_workspace(repository.cargo())?.target_directory;
    Ok(target.join("debug").join(format!("switchhook-under-test{EXE_SUFFIX}")))
}

fn is(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|committed| committed == text)
}
