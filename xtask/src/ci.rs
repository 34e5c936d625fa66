//! What CI runs, and what everybody can run before it does: the cheapest failure first.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::{
    command, docs, fmt, frozen, layers, migrations, repository::Repository, requirements, setup, test,
};

type Step = (&'static str, fn(&Repository) -> Result<()>);

const BEFORE_TESTS: [Step; 8] = [
    ("format", |repository| fmt::fmt(repository, true)),
    ("migrations", migrations::migrations),
    ("requirements", requirements::check),
    ("released contracts", frozen::frozen),
    ("layers", layers::layers),
    ("dependency rules", dependency_rules),
    ("purity", purity),
    ("clippy", clippy),
];
const TESTS: [Step; 1] = [("tests", |repository| test::test(repository, &[]))];
const AFTER_TESTS: [Step; 2] =
    [("documentation", documentation), ("generated pages", |repository| docs::docs(repository, true))];

pub(crate) fn ci(repository: &Repository, without_tests: bool) -> Result<()> {
    setup::wasm_targets(repository)?;
    let tests = TESTS.iter().filter(|_| !without_tests);
    for (name, step) in BEFORE_TESTS.iter().chain(tests).chain(&AFTER_TESTS) {
        println!("── {name}");
        let started = now();
        step(repository).with_context(|| format!("{name} failed"))?;
        println!("── {name}: passed after {} s", started.elapsed().as_secs());
    }
    Ok(())
}

/// What `layers` does not see: licences, sources, yanked versions. Needs `cargo-deny`.
fn dependency_rules(repository: &Repository) -> Result<()> {
    if !command::succeeds(repository.cargo().args(["deny", "--version"])) {
        println!("cargo-deny is not installed; licences and sources are not checked");
        return Ok(());
    }
    let mut deny = repository.cargo();
    // Not every crate that may use an outside does.
    deny.args(["deny", "--workspace", "check", "--allow", "unused-wrapper", "bans", "licenses", "sources"]);
    command::run(&mut deny)
}

/// Where there is no standard library there is no I/O, no clock and no randomness.
fn purity(repository: &Repository) -> Result<()> {
    let mut build = repository.cargo();
    build.args([
        "build",
        "--package",
        "switchhook-protocol",
        "--package",
        "switchhook-core",
        "--target",
        "wasm32v1-none",
    ]);
    command::run(&mut build)
}

fn clippy(repository: &Repository) -> Result<()> {
    for mut cargo in repository.cargos()? {
        command::run(cargo.args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    }
    Ok(())
}

fn documentation(repository: &Repository) -> Result<()> {
    let mut doc = repository.cargo();
    doc.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    command::run(&mut doc)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a step took is for the reader, nothing depends on it"
)]
fn now() -> Instant {
    Instant::now()
}
