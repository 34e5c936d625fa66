//! Released versions of the contract never change, and stay loadable.
//!
//! Each has a folder `wit/frozen/<version>` with the sums of its files, an adapter in the runtime and a guest
//! kept as source (`wit/frozen/README.md`).

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::repository::Repository;

const FROZEN: &str = "wit/frozen";
const SUMS: &str = "SHA256SUMS";

/// The packages of the contract.
const PACKAGES: [&str; 4] = ["types", "registration-method", "nat-policy", "invite-router"];

/// Refuses a released version that has changed, or that nothing here loads.
pub(crate) fn frozen(repository: &Repository) -> Result<()> {
    check(&repository.path(""))
}

/// Keeps the contract as it is now as a released version.
pub(crate) fn freeze(repository: &Repository, version: &str) -> Result<()> {
    keep(&repository.path(""), version)?;
    println!("wit/frozen/{version} is kept; it now needs an adapter and a guest, see wit/frozen/README.md");
    Ok(())
}

fn check(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root.join(FROZEN)).context("cannot read wit/frozen")? {
        let folder = entry?.path();
        if folder.is_dir() {
            let version = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            unchanged(&folder).with_context(|| format!("wit/frozen/{version}"))?;
            loadable(root, &version)?;
        }
    }
    Ok(())
}

fn unchanged(folder: &Path) -> Result<()> {
    let sums = fs::read_to_string(folder.join(SUMS)).context("has no SHA256SUMS")?;
    ensure!(
        sums == written(&sums_of(folder)?),
        "a released version was changed: its files are not those of SHA256SUMS"
    );
    Ok(())
}

fn loadable(root: &Path, version: &str) -> Result<()> {
    let adapter = format!("host/plugin-runtime/src/bindings/v{}.rs", version.replace(['.', '-'], "_"));
    let guest = format!("tests/guests/frozen/{version}/Cargo.toml");
    for needed in [adapter, guest] {
        ensure!(root.join(&needed).is_file(), "the released version {version} has no {needed}");
    }
    Ok(())
}

fn keep(root: &Path, version: &str) -> Result<()> {
    let folder = root.join(FROZEN).join(version);
    ensure!(!folder.exists(), "{version} is released already, and never changes");
    let named = format!("@{version};");
    for package in PACKAGES {
        let file = root.join("wit").join(package).join(format!("{package}.wit"));
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if !text.lines().next().is_some_and(|line| line.starts_with("package ") && line.ends_with(&named)) {
            bail!("{} is not of version {version}", file.display());
        }
        let kept = folder.join(package);
        fs::create_dir_all(&kept)?;
        fs::write(kept.join(format!("{package}.wit")), text)?;
    }
    Ok(fs::write(folder.join(SUMS), written(&sums_of(&folder)?))?)
}

/// Of every file but the sums themselves, by path.
fn sums_of(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path != folder.join(SUMS) {
                let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                sums.insert(name, HEXLOWER.encode(&Sha256::digest(fs::read(&path)?)));
            }
        }
    }
    Ok(sums)
}

/// As `sha256sum --check` reads them.
fn written(sums: &BTreeMap<String, String>) -> String {
    sums.iter().fold(String::new(), |all, (path, sum)| all + sum + "  " + path + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADAPTER: &str = "host/plugin-runtime/src/bindings/v0_1_0.rs";
    const GUEST: &str = "tests/guests/frozen/0.1.0/Cargo.toml";

    #[test]
    fn a_released_version_that_is_whole_and_loadable_passes() {
        let root = Root::released("whole");

        check(&root.0).unwrap();
    }

    #[test]
    fn a_byte_more_in_a_released_version_is_found() {
        let root = Root::released("changed");
        let file = root.0.join("wit/frozen/0.1.0/types/types.wit");
        fs::write(&file, fs::read_to_string(&file).unwrap() + "\n").unwrap();

        assert!(format!("{:#}", check(&root.0).unwrap_err()).contains("was changed"));
    }

    #[test]
    fn a_file_more_in_a_released_version_is_found() {
        let root = Root::released("more");
        root.write("wit/frozen/0.1.0/types/more.wit", "");

        assert!(check(&root.0).is_err());
    }

    #[test]
    fn a_released_version_needs_its_adapter_and_its_guest() {
        for needed in [ADAPTER, GUEST] {
            let root = Root::released(if needed == ADAPTER { "adapter" } else { "guest" });
            fs::remove_file(root.0.join(needed)).unwrap();

            assert!(check(&root.0).unwrap_err().to_string().contains(needed));
        }
    }

    #[test]
    fn a_version_is_released_once_and_from_packages_that_name_it() {
        let root = Root::released("once");

        assert!(keep(&root.0, "0.1.0").unwrap_err().to_string().contains("already"));
        assert!(keep(&root.0, "0.2.0").unwrap_err().to_string().contains("not of version"));
        assert!(!root.0.join("wit/frozen/0.2.0").exists());
    }

    /// A checkout with one released version; removed when dropped.
    struct Root(std::path::PathBuf);

    impl Root {
        fn released(name: &str) -> Self {
            let root =
                Self(std::env::temp_dir().join(format!("switchhook-frozen-{name}-{}", std::process::id())));
            for package in PACKAGES {
                root.write(&format!("wit/{package}/{package}.wit"), &format!("package a:{package}@0.1.0;\n"));
            }
            keep(&root.0, "0.1.0").unwrap();
            root.write(ADAPTER, "");
            root.write(GUEST, "");
            root
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap_or_default();
        }
    }
}
