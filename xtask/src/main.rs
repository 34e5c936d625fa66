//! The workshop around Switchhook: everything one does to the repository but writing it.
//!
//! `cargo xtask demo` and `cargo xtask test` do all set-up themselves, on a machine that has rustup
//! and a C compiler. `cargo xtask ci` is exactly what CI runs. The other commands are its checks,
//! one by one, and what mends the things they complain about.
#![expect(clippy::print_stdout, reason = "a command line tool talks on stdout")]

mod built;
mod ci;
mod command;
mod docs;
mod fmt;
mod frozen;
mod layers;
mod metadata;
mod migrations;
mod repository;
mod requirements;
mod setup;
mod skipped;
mod soak;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use repository::Repository;
use requirements::Id;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Set-up, checks and generated pages of the Switchhook repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Shows the main job: phones register by SMS and call each other
    Demo {
        /// Goes to `switchhook demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs the tests of all workspaces, or those that the arguments name
    Test {
        /// Goes to `cargo nextest run` (`cargo test` where nextest is not installed)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs what CI runs, cheapest failure first
    Ci {
        /// Leaves out `cargo xtask test`
        #[arg(long)]
        without_tests: bool,
    },
    /// Runs what takes longer than CI may: the model test at length, every death of a node, and the fuzzing targets
    Soak {
        /// For each target
        #[arg(long, default_value_t = 300)]
        seconds: u64,
        /// Runs of the model test
        #[arg(long, default_value_t = 10_000)]
        runs: u64,
        /// Seed of the first of them, to repeat what an earlier soak has printed; otherwise the time's
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Formats all workspaces
    Fmt {
        /// Changes nothing, fails where something is to change
        #[arg(long)]
        check: bool,
    },
    /// Checks which crate uses which, ours and others'
    Layers,
    /// Compares tests/requirements.toml with what the tests cite, or shows who cites the given ids
    Requirements {
        /// Such as INV-9 or INV-6.choose
        ids: Vec<Id>,
    },
    /// Keeps the contract as it is in `wit/` as a released version, which never changes
    Freeze {
        /// The version that its packages name
        version: String,
    },
    /// Writes the generated pages
    Docs {
        /// Changes nothing, fails where a page is not what the code says
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let repository = Repository::find()?;
    match task {
        Task::Demo { arguments } => demo(&repository, &arguments),
        Task::Test { arguments } => test::test(&repository, &arguments),
        Task::Ci { without_tests } => ci::ci(&repository, without_tests),
        Task::Soak { seconds, runs, seed } => soak::soak(&repository, seconds, runs, seed),
        Task::Fmt { check } => fmt::fmt(&repository, check),
        Task::Layers => layers::layers(&repository),
        Task::Requirements { ids } if ids.is_empty() => requirements::check(&repository),
        Task::Requirements { ids } => requirements::show(&repository, &ids),
        Task::Freeze { version } => frozen::freeze(&repository, &version),
        Task::Docs { check } => docs::docs(&repository, check),
    }
}

fn demo(repository: &Repository, arguments: &[String]) -> Result<()> {
    setup::wasm_targets(repository)?;
    let mut demo = repository.cargo();
    demo.args(["run", "--package", "switchhook-server", "--bin", "switchhook", "--", "demo"]);
    command::run(demo.args(arguments))
}
