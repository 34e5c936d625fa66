//! What an upload is, and what of it does not fit the contract of its slot.
//!
//! Pure: bytes in, a [`Report`] out; nothing is compiled or run. The bytes are validated to the last one
//! (`survey`), every import and export is compared with `wit/`, which is part of this program (`ours`),
//! case by case (`compare`), and each difference becomes a sentence that a person can act on.

mod compare;
mod imports;
mod ours;
mod reference;
mod survey;

use compare::Comparison;
pub use reference::contract_reference;
use serde::{Deserialize, Serialize};
use survey::Survey;
use switchhook_core::policy::{Description, Grants, Slot};

use crate::{
    compiled::Digest,
    limits::{LARGE_COMPONENT, LARGE_MEMORY, MAX_COMPONENT, MAX_FUNCTIONS},
};

/// What an upload is, and what of it does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Of its bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: usize,
    /// Where it was uploaded to.
    pub slot: Slot,
    /// The version of the contract that it was built against, if it names one.
    pub contract: Option<String>,
    /// What it is written in, if it says so.
    pub language: Option<String>,
    /// Where it runs.
    pub class: Class,
    /// Names of what it imports.
    pub imports: Vec<String>,
    /// What does not fit, worst first.
    pub findings: Vec<Finding>,
    /// What it says about itself, once it was asked.
    pub description: Option<Description>,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether the upload is refused for it.
    pub severity: Severity,
    /// The part of the upload: `bytes`, `export route`, `import wasi:http/types@0.2.0`.
    pub at: String,
    /// A sentence that a person can act on.
    pub says: String,
}

/// Whether an upload is refused for a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is.
    Error,
    /// It is not: the plugin works anyway.
    Warning,
}

/// Which engine a component is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Many at the same time.
    Small,
    /// One that brings the runtime of its language: few at the same time.
    Large,
}

impl Class {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

impl std::str::FromStr for Class {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = [Self::Small, Self::Large].into_iter().find(|class| class.as_str() == word);
        found.ok_or_else(|| format!("{word:?} is neither `small` nor `large`"))
    }
}

/// Compares bytes with the contract of a slot and with what the plugin is granted.
pub fn report(bytes: &[u8], slot: Slot, grants: &Grants) -> Report {
    let mut report = Report::new(bytes, slot);
    if let Err(finding) = survey(bytes).map(|survey| report.judge(&survey, grants)) {
        report.findings.push(finding);
    }
    report.findings.sort_by_key(|finding| finding.severity);
    report
}

/// Reads the bytes; those that cannot be compared are one finding.
fn survey(bytes: &[u8]) -> Result<Survey, Finding> {
    let size = bytes.len();
    if size > MAX_COMPONENT {
        return Err(Finding::error("bytes", format!("it has {size} bytes, more than {MAX_COMPONENT}")));
    }
    if bytes.starts_with(CORE_MODULE) {
        let says = "this is a core module, not a component; build it with `switchhook plugin build`";
        return Err(Finding::error("bytes", says.to_owned()));
    }
    survey::survey(bytes).map_err(|unreadable| Finding::error("bytes", unreadable.to_string()))
}

/// The magic number, and version 1 of the layer of modules.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

impl Report {
    /// Whether nothing stands against calling it.
    pub fn accepted(&self) -> bool {
        self.errors().next().is_none()
    }

    /// The findings that it is refused for.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error)
    }

    fn new(bytes: &[u8], slot: Slot) -> Self {
        let class = if bytes.len() > LARGE_COMPONENT { Class::Large } else { Class::Small };
        Self {
            digest: Digest::of(bytes),
            size: bytes.len(),
            slot,
            contract: None,
            language: None,
            class,
            imports: vec![],
            findings: vec![],
            description: None,
        }
    }

    /// Of a webhook, which is nothing but what it says of itself.
    pub(crate) fn of_webhook(digest: Digest, slot: Slot) -> Self {
        Self { digest, ..Self::new(&[], slot) }
    }

    fn judge(&mut self, survey: &Survey, grants: &Grants) {
        self.imports.clone_from(&survey.imports);
        self.contract = imports::contract(&survey.imports);
        self.language.clone_from(&survey.language);
        if survey.memory > LARGE_MEMORY || survey.core_instances > Class::Small.room().core_instances {
            self.class = Class::Large;
        }
        if let Some(other) = ours::slot_of(&survey.exports).filter(|slot| *slot != self.slot) {
            let says = format!("this is of the world {other}; upload it to that slot");
            self.findings.push(Finding::error("world", says));
            return;
        }
        let mut comparison = Comparison::new(self.slot, survey);
        comparison.exports();
        imports::compare(&mut comparison, grants);
        self.findings = comparison.findings;
    }
}

impl Finding {
    pub(crate) fn error(at: &str, says: String) -> Self {
        Self { severity: Severity::Error, at: at.to_owned(), says }
    }
}

impl std::fmt::Display for Report {
    /// The errors, in one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let errors: Vec<_> = self.errors().map(|Finding { at, says, .. }| format!("{at}: {says}")).collect();
        f.write_str(&errors.join("; "))
    }
}

/// Why bytes cannot even be compared with the contract.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    /// Damaged, cut, or not of WebAssembly at all.
    #[error("this is not a valid component: {0}")]
    Invalid(String),
    /// What the host has no engine for.
    #[error(
        "it uses asynchronous functions of the component model, and calls of plugins are synchronous: {0}"
    )]
    Async(String),
    /// Compiling each costs the host, however small.
    #[error("it has {0} functions, more than {MAX_FUNCTIONS}")]
    TooManyFunctions(usize),
}
