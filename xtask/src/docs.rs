//! Pages that the code writes, committed so that one can read them without building.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{command, repository::Repository, setup};

/// Each page and the `switchhook docs …` that prints it.
const PAGES: [(&str, &str); 3] =
    [("docs/CONTRACT.md", "contract"), ("docs/ERRORS.md", "errors"), ("docs/openapi.json", "openapi")];

/// Writes the pages, or with `check` only says which ones are stale.
pub(crate) fn docs(repository: &Repository, check: bool) -> Result<()> {
    setup::wasm_targets(repository)?;
    let mut stale = Vec::new();
    for (page, topic) in PAGES {
        let mut print = repository.cargo();
        print.args([
            "run",
            "--quiet",
            "--package",
            "switchhook-server",
            "--bin",
            "switchhook",
            "--",
            "docs",
            topic,
        ]);
        let printed = command::output(&mut print)?;
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

fn is(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|committed| committed == text)
}
