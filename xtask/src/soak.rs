//! What takes longer than CI may: many runs of the model test, every death of one of three nodes, then each fuzzing
//! target of `tests/fuzz` for so many seconds.
//!
//! What a fuzzer learns on its way is kept below `target/soak` and serves the next run; what breaks a
//! rule lands in `target/soak/found`, and fails. Its bytes belong into the corpus, with the mend.

use std::{fs, process::Command, time::SystemTime};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{command, repository::Repository};

/// The crate of the targets.
const FUZZ: &str = "tests/fuzz";

/// Fuzzers need what only nightly compilers can do: see every branch that is taken.
const TOOLCHAIN: &str = "nightly";

/// A body that takes longer for one input than this many seconds hangs.
const ONE_INPUT: &str = "-timeout=30";

/// Of so many runs of the model one is also played over sockets, where it takes some fifty times as long.
const OVER_SOCKETS: u64 = 50;

/// The compiler of components is let near a gigabyte; what wants more is a bomb.
const MEMORY: &str = "-rss_limit_mb=4096";

pub(crate) fn soak(repository: &Repository, seconds: u64, runs: u64, seed: Option<u64>) -> Result<()> {
    model(repository, runs, seed.map_or_else(of_now, Ok)?)?;
    deaths(repository)?;
    require_fuzzer(repository)?;
    // The fuzzed crates build the plugins that ship.
    let mut target = Command::new("rustup");
    command::run(target.args(["target", "add", "--toolchain", TOOLCHAIN, "wasm32-unknown-unknown"]))?;
    for target in targets(repository)? {
        println!("── {target}: {seconds} s");
        fuzz(repository, &target, seconds).with_context(|| {
            format!("{target} broke a rule; what did it is in target/soak/found, for {FUZZ}/corpus/{target}")
        })?;
    }
    Ok(())
}

/// Invitations at random; a difference says the seed of its run.
fn model(repository: &Repository, runs: u64, seed: u64) -> Result<()> {
    let over_sockets = runs / OVER_SOCKETS;
    println!("── model: {runs} runs, {over_sockets} of them also over sockets; again by --seed {seed}");
    let mut model = repository.cargo();
    // Not under nextest, which ends what takes long.
    model.args(["test", "--workspace", "--test", "invitations", "--test", "over_sockets"]);
    model.env("SWITCHHOOK_MODEL_RUNS", runs.to_string()).env("SWITCHHOOK_MODEL_SEED", seed.to_string());
    model.env("SWITCHHOOK_MODEL_RUNS_OVER_SOCKETS", over_sockets.to_string());
    command::run(&mut model)
}

/// A seed that no soak has begun with, and above those from 0, which CI plays.
#[expect(clippy::disallowed_methods, reason = "a tool that a person calls, once")]
fn of_now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}

/// Of three nodes each is killed and frozen at each place of each flow, where CI strikes one of them one way.
fn deaths(repository: &Repository) -> Result<()> {
    println!("── deaths of nodes");
    let mut deaths = repository.cargo();
    deaths.args(["test", "--workspace", "--test", "cluster", "goes_on_when_a_node_dies_or_freezes"]);
    command::run(deaths.env("SWITCHHOOK_EVERY_DEATH", "1"))
}

fn require_fuzzer(repository: &Repository) -> Result<()> {
    if command::succeeds(&mut fuzzer(repository, "--version")) {
        return Ok(());
    }
    bail!(
        "skipped: fuzzing: run `rustup toolchain install {TOOLCHAIN}` and `cargo install --locked cargo-fuzz`"
    )
}

/// In the order of their names.
fn targets(repository: &Repository) -> Result<Vec<String>> {
    let folder = repository.path(FUZZ).join("targets");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        targets.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    ensure!(!targets.is_empty(), "{FUZZ} has no targets");
    targets.sort();
    Ok(targets)
}

fn fuzz(repository: &Repository, target: &str, seconds: u64) -> Result<()> {
    let kept = repository.path("target/soak");
    let (learned, found) = (kept.join(target), kept.join("found"));
    for folder in [&learned, &found] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut fuzz = fuzzer(repository, "run");
    fuzz.args(["--fuzz-dir", FUZZ, "--features", "libfuzzer", "--target-dir"]).arg(kept.join("build"));
    fuzz.arg(target).arg(learned).arg(repository.path(FUZZ).join("corpus").join(target));
    // Programs of some hundred MB are linked; optimising them as a whole takes longer than it saves.
    fuzz.env("CARGO_PROFILE_RELEASE_LTO", "off");
    fuzz.args(["--", ONE_INPUT, MEMORY, &format!("-max_total_time={seconds}")]);
    fuzz.arg(format!("-artifact_prefix={}/{target}-", found.display()));
    command::run(&mut fuzz)
}

fn fuzzer(repository: &Repository, task: &str) -> Command {
    let mut fuzzer = Command::new("cargo");
    // The toolchain of the file would win over the one named.
    fuzzer.env("RUSTUP_TOOLCHAIN", TOOLCHAIN).current_dir(repository.path(""));
    fuzzer.args(["fuzz", task]);
    fuzzer
}
