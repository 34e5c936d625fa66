//! Runs the tests: the main workspace's, those of guests that run natively, and the examples in the documentation.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};

use crate::{command, metadata::Metadata, repository::Repository, setup, skipped::Skipped};

/// Where nextest leaves its report, below the target folder (`.config/nextest.toml`).
const REPORT: &str = "nextest/default/junit.xml";

/// With arguments runs only what they select in the main workspace.
///
/// The main workspace's tests come last, so that what was skipped is the last thing one reads.
pub(crate) fn test(repository: &Repository, arguments: &[String]) -> Result<()> {
    setup::wasm_targets(repository)?;
    setup::counterparts();
    let nextest = command::succeeds(repository.cargo().args(["nextest", "--version"]));
    let everything = ["--workspace".to_owned()];
    let selection = if arguments.is_empty() { &everything } else { arguments };
    if arguments.is_empty() {
        for mut guests in repository.guest_cargos()? {
            command::run(guests.args(["test", "--workspace", "--quiet"]))?;
        }
        if nextest {
            // `cargo test` runs these by itself.
            command::run(repository.cargo().args(["test", "--workspace", "--doc", "--quiet"]))?;
        }
    }
    if nextest {
        with_nextest(repository, selection)
    } else {
        println!(
            "cargo-nextest is not installed; `cargo test` runs the same tests, one program after the other"
        );
        with_libtest(repository, selection)
    }
}

fn with_nextest(repository: &Repository, arguments: &[String]) -> Result<()> {
    let report = Metadata::of_workspace(repository.cargo())?.target_directory.join(REPORT);
    if report.exists() {
        fs::remove_file(&report).with_context(|| format!("cannot remove the old {}", report.display()))?;
    }
    let mut nextest = repository.cargo();
    nextest.args(["nextest", "run"]).args(arguments);
    // What failed stands in an error's words; where it was made only hides them. Panics keep their backtraces.
    if env::var_os("RUST_LIB_BACKTRACE").is_none() {
        nextest.env("RUST_LIB_BACKTRACE", "0");
    }
    let outcome = command::run(&mut nextest);
    Skipped::in_report(&fs::read_to_string(&report).unwrap_or_default()).print();
    outcome
}

fn with_libtest(repository: &Repository, arguments: &[String]) -> Result<()> {
    let mut test = repository.cargo();
    test.arg("test").args(arguments).stdout(Stdio::piped());
    // Those who pass arguments behind `--` choose by themselves what is shown.
    if !arguments.iter().any(|argument| argument == "--") {
        test.args(["--", "--show-output"]);
    }
    let mut child = test.spawn().with_context(|| format!("cannot start {}", command::line(&test)))?;
    let mut skipped = Skipped::default();
    let mut shown = Shown::default();
    for line in BufReader::new(child.stdout.take().context("stdout was piped")?).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        skipped.line(&line);
        if shown.is_shown(&line) {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    skipped.print();
    ensure!(status.success(), "failed ({status}): {}", command::line(&test));
    Ok(())
}

/// What test programs print, without the part on passing tests that `--show-output` adds.
#[derive(Debug, Default)]
struct Shown {
    successes: bool,
}

impl Shown {
    /// Takes the lines one after the other.
    fn is_shown(&mut self, line: &str) -> bool {
        self.successes = match line.trim_end() {
            "successes:" => true,
            "failures:" => false,
            other => self.successes && !other.starts_with("test result:"),
        };
        !self.successes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_passing_tests_is_hidden_and_the_rest_is_shown() {
        let lines = [
            "test a ... ok",
            "successes:",
            "---- a stdout ----",
            "successes:",
            "    a",
            "failures:",
            "    b",
            "test result: FAILED",
            "test c ... ok",
            "successes:",
            "    c",
            "test result: ok",
        ];
        let mut filter = Shown::default();

        let shown: Vec<_> = lines.into_iter().filter(|line| filter.is_shown(line)).collect();

        assert_eq!(
            shown,
            [
                "test a ... ok",
                "failures:",
                "    b",
                "test result: FAILED",
                "test c ... ok",
                "test result: ok"
            ]
        );
    }
}
