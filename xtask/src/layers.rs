//! Which crate may use which.
//!
//! Two tables. [`ARROWS`] says for a folder of ours which other folders its package may depend on, by
//! any kind of dependency. [`HOLDERS`] says who alone holds an outside: what ships from other folders
//! must not depend on it, while their tests may use it as a stand-in. [`BANNED`] and [`ONLY_BELOW`]
//! look at everything that is really built, however deep.
//!
//! A folder pattern that ends in `/*` means the folders right in it; the first pattern that fits counts.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Result, bail};

use crate::{
    built::Built,
    metadata::{Kind, Metadata, Package},
    repository::Repository,
};

const EVERYTHING: &[&str] = &["*"];

const ARROWS: [(&str, &[&str]); 16] = [
    ("sdk/protocol", &[]),
    ("sdk/*", &["sdk/protocol"]),
    ("host/core", &["sdk/protocol"]),
    ("host/server", &["host/*", "sdk/*"]),
    // Its tests run guests that misbehave.
    ("host/plugin-runtime", &["host/core", "sdk/protocol", "tests/built-guests", "tests/programs"]),
    // Their tests stand on programs of others, or on what a machine has to have.
    ("host/bus", &["host/core", "sdk/protocol", "tests/programs"]),
    ("host/relay", &["host/core", "sdk/protocol", "tests/programs"]),
    ("host/storage", &["host/core", "sdk/protocol", "tests/programs"]),
    ("host/*", &["host/core", "sdk/protocol"]),
    ("plugins/*", &["sdk/plugin"]),
    ("tests/guests/*", &["sdk/plugin"]),
    ("tests", EVERYTHING),
    ("tests/*", EVERYTHING),
    ("benches", EVERYTHING),
    ("benches/*", EVERYTHING),
    ("xtask", EVERYTHING),
];

const HOLDERS: &[(&str, &[&str])] = &[
    ("async-nats", &["host/bus"]),
    ("sqlx*", &["host/storage"]),
    ("libsqlite3*", &["host/storage"]),
    ("wasmtime*", &["host/plugin-runtime"]),
    ("turn", &["host/relay", "sdk/client"]),
    ("webrtc-util", &["host/relay", "sdk/client"]),
    ("axum*", &["host/server"]),
    ("rlibphonenumber", &["host/numbering"]),
    ("lettre", &["host/delivery"]),
    ("async-imap", &["sdk/client"]),
];

/// TLS is rustls.
const BANNED: [&str; 3] = ["openssl", "openssl-sys", "native-tls"];

/// Cryptography is aws-lc-rs; `ring` comes with the TURN crates, and with nothing else.
const ONLY_BELOW: [(&str, &[&str]); 1] = [("ring", &["turn", "stun", "webrtc-util"])];

/// Checks all workspaces, and that their `Cargo.lock` is up to date.
pub(crate) fn layers(repository: &Repository) -> Result<()> {
    let root = repository.path("");
    let mut wrong = BTreeSet::new();
    for cargo in repository.cargos()? {
        let packages = Metadata::of_workspace(cargo)?.packages;
        wrong.extend(packages.iter().flat_map(|package| wrong_uses(&root, package)));
    }
    for cargo in repository.cargos()? {
        wrong.extend(wrong_crates(&Built::in_workspace(cargo)?));
    }
    if !wrong.is_empty() {
        bail!("\n{}", Vec::from_iter(wrong).join("\n"));
    }
    Ok(())
}

/// What one of our packages uses and must not.
fn wrong_uses(root: &Path, package: &Package) -> Vec<String> {
    let from = package.manifest_path.parent().map(|folder| relative(root, folder)).unwrap_or_default();
    let Some(may_use) = first_fit(&ARROWS, &from) else {
        return vec![format!("{from} stands in no table: say in xtask/src/layers.rs what it may use")];
    };
    let mut wrong = Vec::new();
    for dependency in &package.dependencies {
        if let Some(to) = dependency.path.as_deref().map(|folder| relative(root, folder)) {
            if !fits_any(may_use, &to) {
                wrong.push(format!("{from} must not use {to}"));
            }
        } else if let Some(holders) = first_fit(HOLDERS, &dependency.name) {
            let ships = dependency.kind != Some(Kind::Dev) && may_use != EVERYTHING;
            if ships && !fits_any(holders, &from) {
                wrong.push(format!(
                    "{from} must not use {}: that is for {}",
                    dependency.name,
                    holders.join(", ")
                ));
            }
        }
    }
    wrong
}

/// What must not be built at all, or not for those who asked for it.
fn wrong_crates(Built(pairs): &Built) -> Vec<String> {
    let mut wrong = Vec::new();
    for (user, used) in pairs {
        if BANNED.contains(&used.as_str()) {
            wrong.push(format!("{used} is banned, {user} brings it"));
        }
        if first_fit(&ONLY_BELOW, used).is_some_and(|users| !fits_any(users, user)) {
            wrong.push(format!("{used} must not come with {user}"));
        }
    }
    wrong
}

fn relative(root: &Path, folder: &Path) -> String {
    folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().into_owned()
}

fn first_fit<'a>(table: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(pattern, _)| fits(pattern, name)).map(|(_, row)| *row)
}

fn fits_any(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, name))
}

/// `*` at the end stands for anything, `/*` for one folder.
fn fits(pattern: &str, name: &str) -> bool {
    let Some(beginning) = pattern.strip_suffix('*') else {
        return pattern == name;
    };
    let rest = name.strip_prefix(beginning);
    rest.is_some_and(|rest| !beginning.ends_with('/') || !(rest.is_empty() || rest.contains('/')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    const ROOT: &str = "/checkout";

    #[test]
    fn arrows_go_inwards_only() {
        let cases = [
            ("host/storage", "host/core", true),
            ("host/core", "sdk/protocol", true),
            ("host/server", "host/relay", true),
            ("host/server", "sdk/client", true),
            ("benches", "host/server", true),
            ("plugins/route-ring-all", "sdk/plugin", true),
            ("sdk/client", "host/core", false),
            ("host/core", "host/storage", false),
            ("host/relay", "host/storage", false),
            ("host/relay", "host/server", false),
            ("plugins/route-ring-all", "host/core", false),
            ("tests/guests/endless-loop", "host/core", false),
        ];
        for (from, to, allowed) in cases {
            let wrong = wrong_uses(Path::new(ROOT), &package(from, [ours(to, None)]));
            assert_eq!(wrong.is_empty(), allowed, "{from} -> {to}: {wrong:?}");
        }
    }

    #[test]
    fn an_arrow_counts_for_tests_and_build_scripts_too() {
        let wrong =
            [Kind::Dev, Kind::Build].map(|kind| package("sdk/client", [ours("host/core", Some(kind))]));

        for package in wrong {
            assert_eq!(wrong_uses(Path::new(ROOT), &package), ["sdk/client must not use host/core"]);
        }
    }

    #[test]
    fn an_outside_stays_in_its_crate() {
        let cases = [
            ("host/storage", "sqlx", None, true),
            ("host/server", "sqlx", None, false),
            ("host/server", "sqlx-core", Some(Kind::Build), false),
            ("host/server", "axum", None, true),
            ("host/delivery", "axum", None, false),
            ("host/delivery", "axum", Some(Kind::Dev), true),
            ("sdk/client", "turn", None, true),
            ("host/cdx", "turn", None, false),
            ("benches", "wasmtime", None, true),
            ("host/server", "bytes", None, true),
        ];
        for (from, name, kind, allowed) in cases {
            let wrong = wrong_uses(Path::new(ROOT), &package(from, [outside(name, kind)]));
            assert_eq!(wrong.is_empty(), allowed, "{from} -> {name}: {wrong:?}");
        }
    }

    #[test]
    fn a_folder_without_a_rule_is_refused() {
        let wrong = wrong_uses(Path::new(ROOT), &package("helpers", []));

        assert_eq!(wrong, ["helpers stands in no table: say in xtask/src/layers.rs what it may use"]);
    }

    #[test]
    fn openssl_is_banned_and_ring_comes_with_turn_only() {
        let pairs = [("turn", "ring"), ("rustls", "ring"), ("rustls", "openssl"), ("sqlx", "rustls")];
        let built = Built(pairs.map(|(user, used)| (user.to_owned(), used.to_owned())).into());

        assert_eq!(
            wrong_crates(&built),
            ["openssl is banned, rustls brings it", "ring must not come with rustls"]
        );
    }

    fn package<const N: usize>(folder: &str, dependencies: [Dependency; N]) -> Package {
        let manifest_path = Path::new(ROOT).join(folder).join("Cargo.toml");
        Package { manifest_path, dependencies: dependencies.into() }
    }

    fn ours(folder: &str, kind: Option<Kind>) -> Dependency {
        Dependency { name: folder.into(), kind, path: Some(Path::new(ROOT).join(folder)) }
    }

    fn outside(name: &str, kind: Option<Kind>) -> Dependency {
        Dependency { name: name.into(), kind, path: None }
    }
}
