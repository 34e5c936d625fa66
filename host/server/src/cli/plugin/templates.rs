//! The files of a new project, kept in this program.
//!
//! A project is laid out in layers: what every plugin has, what its language needs, the example of its
//! slot in that language, and the slot's cases, which are the same in all languages. The contract comes
//! along: for Rust as the sources of the SDK and the WIT that it is made from, for the others as WIT.

use include_dir::{Dir, File, include_dir};
use switchhook_core::policy::Slot;

use super::project::Language;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/cli/plugin/templates");
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk/plugin");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit");
const WORKSPACE: &str = include_str!("../../../../../Cargo.toml");

/// Where the SDK lies in a Rust project.
const VENDOR: &str = "vendor/switchhook";

/// A file of a new project.
#[derive(Debug)]
pub(crate) struct Laid {
    /// Below the project's folder.
    pub(crate) path: String,
    /// What stands in it.
    pub(crate) text: String,
}

/// Everything that a new project consists of.
pub(crate) fn files(name: &str, slot: Slot, language: Language) -> Vec<Laid> {
    let every = format!("{}/every", language.as_str());
    let example = format!("{}/{slot}", examples(language));
    let mut laid: Vec<Laid> =
        ["every", &every, &example].into_iter().flat_map(|layer| below(&TEMPLATES, layer, "")).collect();
    laid.extend(below(&TEMPLATES, &format!("cases/{slot}"), "tests/"));
    let words = words(name, slot, language);
    for file in &mut laid {
        file.fill_in(&words);
    }
    laid.extend(match language {
        Language::Rust => sdk(),
        Language::JavaScript | Language::QuickJs | Language::Python => wit(slot),
    });
    laid
}

/// Whose examples a language has: both engines of JavaScript run the same, but for numbers of 64 bits.
const fn examples(language: Language) -> &'static str {
    match language {
        Language::QuickJs => Language::JavaScript.as_str(),
        Language::Rust | Language::JavaScript | Language::Python => language.as_str(),
    }
}

/// What stands for `{{…}}` in a template.
fn words(name: &str, slot: Slot, language: Language) -> [(&'static str, &str); 10] {
    let example = match slot {
        Slot::InviteRouter => "it rings phones first, and whatever else there is 20 seconds later.",
        Slot::NatPolicy => "two devices try directly for two seconds, then get a relay.",
        Slot::RegistrationMethod => "its user types a number, the host texts a code there and compares it.",
    };
    let (source, contract, ignored) = match language {
        Language::Rust => ("src/lib.rs", "vendor/", "/target/"),
        Language::JavaScript | Language::QuickJs => ("app.js", "wit/", "/node_modules/"),
        Language::Python => ("app.py", "wit/", "/.venv/\n__pycache__/"),
    };
    let (wide, from_number, end) = match language {
        Language::JavaScript => ("BigInt", "BigInt(", ")"),
        Language::QuickJs | Language::Rust | Language::Python => ("numbers here", "", ""),
    };
    [
        ("name", name),
        ("slot", slot.as_str()),
        ("language", language.as_str()),
        ("example", example),
        ("source", source),
        ("contract", contract),
        ("ignored", ignored),
        ("u64", wide),
        ("u64(", from_number),
        (")u64", end),
    ]
}

/// The SDK, as a workspace of its own that says what ours says for it.
fn sdk() -> Vec<Laid> {
    let manifest = Laid { path: format!("{VENDOR}/Cargo.toml"), text: vendored_workspace() };
    let sources = below(&SDK, "", &format!("{VENDOR}/sdk/plugin/"));
    let contract = below(&WIT, "", &format!("{VENDOR}/wit/"));
    std::iter::once(manifest).chain(sources).chain(contract).collect()
}

fn vendored_workspace() -> String {
    let whole: toml::Table = toml::from_str(WORKSPACE).unwrap_or_default();
    let part = |path: [&str; 2]| path.iter().try_fold(&whole, |table, key| table.get(*key)?.as_table());
    let package = part(["workspace", "package"]).cloned().unwrap_or_default();
    let mut dependencies = part(["workspace", "dependencies"]).cloned().unwrap_or_default();
    dependencies.retain(|name, _| name == "wit-bindgen");
    let mut workspace = toml::toml! {
        resolver = "3"
        members = ["sdk/plugin"]
        lints = {}
    };
    workspace.insert("package".into(), package.into());
    workspace.insert("dependencies".into(), dependencies.into());
    toml::Table::from_iter([("workspace".to_owned(), workspace.into())]).to_string()
}

/// The slot's package, and the one that all share below `deps`.
fn wit(slot: Slot) -> Vec<Laid> {
    let mut laid = below(&WIT, slot.as_str(), "wit/");
    laid.extend(below(&WIT, "types", "wit/deps/types/"));
    laid
}

/// The files below a folder, under another name for it.
fn below(dir: &'static Dir<'static>, folder: &str, to: &str) -> Vec<Laid> {
    let folder = if folder.is_empty() { Some(dir) } else { dir.get_dir(folder) };
    let Some(folder) = folder else { return vec![] };
    let mut laid = Vec::new();
    collect(folder, &mut |file| {
        let path = file.path().strip_prefix(folder.path()).unwrap_or_else(|_| file.path());
        let text = file.contents_utf8().unwrap_or_default().to_owned();
        laid.push(Laid { path: format!("{to}{}", path.display()), text });
    });
    laid
}

fn collect(folder: &'static Dir<'static>, take: &mut impl FnMut(&'static File<'static>)) {
    folder.files().for_each(&mut *take);
    folder.dirs().for_each(|dir| collect(dir, take));
}

impl Laid {
    /// `x.in` becomes `x`: under their own names some files would mean something to the tools that build this program.
    fn fill_in(&mut self, words: &[(&str, &str)]) {
        for (word, meaning) in words {
            self.text = self.text.replace(&format!("{{{{{word}}}}}"), meaning);
        }
        if let Some(path) = self.path.strip_suffix("gitignore.in") {
            self.path = format!("{path}.gitignore");
        } else if let Some(path) = self.path.strip_suffix(".in") {
            self.path = path.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SLOTS: [Slot; 3] = [Slot::InviteRouter, Slot::NatPolicy, Slot::RegistrationMethod];
    const LANGUAGES: [Language; 4] =
        [Language::Rust, Language::JavaScript, Language::QuickJs, Language::Python];

    #[test]
    fn plug_3_every_slot_has_an_example_with_cases_in_every_language() {
        for slot in SLOTS {
            for language in LANGUAGES {
                let laid = files("mine", slot, language);
                let paths: BTreeSet<_> = laid.iter().map(|file| file.path.as_str()).collect();
                assert_eq!(paths.len(), laid.len(), "a file stands twice");
                let [_, _, _, _, (_, source), ..] = words("mine", slot, language);
                for wanted in ["switchhook.toml", ".gitignore", "README.md", source] {
                    assert!(paths.contains(wanted), "{slot} {language:?}: no {wanted}");
                }
                assert!(paths.iter().filter(|path| path.starts_with("tests/")).count() >= 2);
                assert!(!laid.iter().any(|file| file.text.contains("{{")), "a word was not filled in");
            }
        }
    }

    #[test]
    fn a_rust_project_brings_the_sdk_with_what_its_workspace_says_for_it() {
        let laid = files("mine", Slot::NatPolicy, Language::Rust);
        let text = |path: &str| &laid.iter().find(|file| file.path == path).unwrap().text;
        let workspace: toml::Table = toml::from_str(text("vendor/switchhook/Cargo.toml")).unwrap();
        assert!(workspace["workspace"]["dependencies"]["wit-bindgen"]["version"].is_str());
        assert_eq!(workspace["workspace"]["package"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
        assert!(text("vendor/switchhook/sdk/plugin/src/lib.rs").contains("macro_rules! export"));
        assert!(text("vendor/switchhook/wit/types/types.wit").contains("interface types"));
    }

    #[test]
    fn the_others_bring_the_contract_of_their_slot_alone() {
        let laid = files("mine", Slot::NatPolicy, Language::Python);
        let wit: Vec<_> =
            laid.iter().map(|file| &*file.path).filter(|path| path.starts_with("wit/")).collect();
        assert_eq!(wit, ["wit/nat-policy.wit", "wit/deps/types/types.wit"]);
    }
}
