//! Rust: cargo makes a core module that carries its world, which is then encoded as a component.

use std::{fs, path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::tool::tool;
use crate::cli::{plugin::project::Project, print::progress};

const TARGET: &str = "wasm32-unknown-unknown";

pub(super) fn build(project: &Project) -> Result<()> {
    require_target(project)?;
    let module = compile(project)?;
    let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = switchhook_plugin_runtime::encode(&module)
        .context("the crate exports no plugin: it needs `switchhook_plugin::export!`")?;
    Ok(fs::write(project.component(), component)?)
}

fn require_target(project: &Project) -> Result<()> {
    let mut rustc = tool("rustc", &project.folder)?;
    let output = rustc
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run rustc; install Rust from https://rustup.rs")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if !output.status.success() || !folder.is_dir() {
        bail!("the target {TARGET} is not installed; run\n\n    rustup target add {TARGET}\n");
    }
    Ok(())
}

/// Runs cargo; the module that it made.
fn compile(project: &Project) -> Result<PathBuf> {
    progress("running cargo build --release");
    let mut cargo = tool("cargo", &project.folder)?;
    cargo.args(["build", "--release", "--lib", "--target", TARGET]);
    cargo.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    let output = cargo.output().context("cannot run cargo; install Rust from https://rustup.rs")?;
    if !output.status.success() {
        bail!("cargo build failed; what it said stands above");
    }
    let mut modules = output.stdout.split(|byte| *byte == b'\n').filter_map(module);
    modules.next_back().context("cargo made no module: Cargo.toml needs `crate-type = [\"cdylib\"]`")
}

/// The module that a line of cargo's messages tells about.
fn module(line: &[u8]) -> Option<PathBuf> {
    let message: Value = serde_json::from_slice(line).ok()?;
    let files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str);
    files.map(PathBuf::from).find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}
