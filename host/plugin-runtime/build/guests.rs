//! Builds a workspace of guests, whoever's build script includes this file.
//!
//! The inner cargo has a target folder of its own, so that it never waits for the outer one's lock,
//! and none of the outer one's variables: it builds for another target, and the wrappers and flags
//! that clippy, doc and coverage runs set would make it build everything anew, or not at all.
//! Each package becomes `$OUT_DIR/<package>.wasm`, a component.

#[expect(unreachable_pub, reason = "a library has it too, and offers it to others")]
#[path = "../src/encode.rs"]
mod encode;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the workspace in `folder` below `root`; returns the names of its packages.
pub(crate) fn build(root: &Path, folder: &str) -> Result<Vec<String>> {
    for watched in
        [folder, "sdk/plugin", "wit", "host/plugin-runtime/build", "host/plugin-runtime/src/encode.rs"]
    {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    require_target()?;
    let workspace = root.join(folder);
    let out = PathBuf::from(env::var("OUT_DIR").context("run by cargo")?);
    let target = target_folder(&out);
    compile(&workspace, &target)?;
    let mut names = packages(&workspace)?;
    names.sort();
    for name in &names {
        let module = target.join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_")));
        let module = fs::read(&module).with_context(|| module.display().to_string())?;
        let component = encode::encode(&module).with_context(|| format!("encode {name} as a component"))?;
        fs::write(out.join(format!("{name}.wasm")), component)?;
    }
    Ok(names)
}

fn require_target() -> Result<()> {
    let rustc = env::var("RUSTC").context("run by cargo")?;
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    let folder = String::from_utf8(output.stdout)?;
    if !Path::new(folder.trim()).is_dir() {
        bail!(
            "the plugins are built for {TARGET}, which is not installed; run\n\n    rustup target add {TARGET}\n"
        );
    }
    Ok(())
}

/// `guests` in the outer target folder, which cargo marks with a file.
fn target_folder(out: &Path) -> PathBuf {
    let outer = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    outer.unwrap_or(out).join("guests")
}

fn compile(workspace: &Path, target: &Path) -> Result<()> {
    let mut cargo = Command::new(env::var("CARGO").context("run by cargo")?);
    cargo.current_dir(workspace);
    for (name, _) in env::vars().filter(|(name, _)| is_outers(name)) {
        cargo.env_remove(name);
    }
    // The very compiler whose targets were looked at, whatever the shell would find.
    cargo.env("RUSTC", env::var("RUSTC").context("run by cargo")?);
    cargo.args(["build", "--release", "--locked", "--quiet", "--target", TARGET, "--target-dir"]).arg(target);
    let output = cargo.output().context("run cargo")?;
    if !output.status.success() {
        bail!("build {}:\n{}", workspace.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Whether the outer cargo set this variable for its own build: all but where things lie and how the
/// network is reached.
fn is_outers(name: &str) -> bool {
    let kept = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let cargos = name.starts_with("CARGO") && !kept.iter().any(|kept| name.starts_with(kept));
    let others =
        ["RUSTFLAGS", "RUSTDOCFLAGS", "RUSTC", "RUSTDOC", "RUSTC_WORKSPACE_WRAPPER", "TARGET", "HOST"];
    cargos || others.contains(&name) || name.starts_with("DEP_") || name == "OPT_LEVEL" || name == "PROFILE"
}

/// A package lies in a folder of its name.
fn packages(workspace: &Path) -> Result<Vec<String>> {
    let mut names = vec![];
    for entry in fs::read_dir(workspace)? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}
