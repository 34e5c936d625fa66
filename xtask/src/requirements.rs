//! Which requirement is due, and which test answers for it.
//!
//! `tests/requirements.toml` is the ledger: every id, whole or in parts, due or not yet. Tests cite
//! ids by their names or in comments above them. What is due and cited by no test fails the check;
//! what is cited without being due is reported, since it may have become due.

mod citations;
mod id;
mod ledger;

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::id::Id;
use self::{
    citations::{Citation, citations, mentions},
    ledger::Ledger,
};
use crate::repository::Repository;

const LEDGER: &str = "tests/requirements.toml";

/// Its own tests contain examples of citations.
const NOT_SEARCHED: &str = "xtask";

/// Fails where the ledger is incomplete or a due entry has no test.
pub(crate) fn check(repository: &Repository) -> Result<()> {
    let text =
        fs::read_to_string(repository.path(LEDGER)).with_context(|| format!("cannot read {LEDGER}"))?;
    let ledger = Ledger::parse(&text).with_context(|| format!("{LEDGER} is not right"))?;
    let mut cited = BTreeSet::new();
    let mut unknown = Vec::new();
    for (path, text) in sources(repository)? {
        for Citation { test, id, .. } in citations(&text) {
            let entries = ledger.cited_by(&id);
            if ledger.misses(&id) {
                unknown.push(format!("{id}, by {test} in {}", path.display()));
            }
            cited.extend(entries);
        }
    }
    report(&ledger, &cited);
    let uncited: Vec<_> = ledger.due().filter(|(id, _)| !cited.contains(*id)).collect();
    for (id, checks) in &uncited {
        println!("due, but cited by no test: {id} ({checks})");
    }
    for citation in &unknown {
        println!("cited, but not in {LEDGER}: {citation}");
    }
    if !uncited.is_empty() || !unknown.is_empty() {
        bail!("{} requirements without a test, {} citations of nothing", uncited.len(), unknown.len());
    }
    Ok(())
}

/// Prints where the given ids are spoken of, and which tests cite them.
pub(crate) fn show(repository: &Repository, ids: &[Id]) -> Result<()> {
    let sources = sources(repository)?;
    for id in ids {
        println!("{id}");
        for (path, text) in &sources {
            for line in mentions(text, id) {
                println!("  {}:{line}", path.display());
            }
            for citation in citations(text).iter().filter(|citation| citation.id.concerns(id)) {
                println!("  {}:{} test {}", path.display(), citation.line, citation.test);
            }
        }
    }
    Ok(())
}

fn report(ledger: &Ledger, cited: &BTreeSet<Id>) {
    let due = ledger.due().count();
    let early: Vec<_> =
        ledger.not_due().filter(|(id, _)| cited.contains(*id)).map(|(id, _)| id.to_string()).collect();
    println!("{due} requirements or parts are due, {} not yet", ledger.not_due().count());
    if !early.is_empty() {
        println!("not due yet, but already cited: {}", early.join(", "));
    }
}

fn sources(repository: &Repository) -> Result<Vec<(PathBuf, String)>> {
    let files = repository.files("rs")?.into_iter();
    files
        .filter(|path| !repository.relative(path).starts_with(NOT_SEARCHED))
        .map(|path| {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok((repository.relative(&path).to_owned(), text))
        })
        .collect()
}
