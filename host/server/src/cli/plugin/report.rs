//! What a host says about a component, as a person reads it: from `check`, and from a refused upload.

use serde::{Deserialize, Serialize};
use switchhook_core::policy::{Description, Slot};
use switchhook_plugin_runtime::{CompileError, Compiled, Digest, Runtime};

use crate::cli::print::{BAD, FAINT, GOOD, ODD, size, styled};

/// What a component is, and what of it does not fit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// SHA-256, hexadecimal.
    pub(crate) digest: String,
    /// In bytes.
    pub(crate) size: u64,
    /// What it was looked at for.
    pub(crate) slot: Slot,
    /// What it imports.
    #[serde(default)]
    pub(crate) imports: Vec<String>,
    /// What does not fit.
    #[serde(default)]
    pub(crate) findings: Vec<Finding>,
    /// What it says about itself.
    #[serde(default)]
    pub(crate) description: Option<Description>,
}

/// One thing that does not fit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// Where: `export route`, `import wasi:http/types`, `bytes`.
    pub(crate) at: String,
    /// A sentence.
    pub(crate) says: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// It cannot be activated.
    Error,
    /// It works anyway.
    Warning,
}

/// Looks at a component as an upload is looked at; compiles it, where it fits.
pub(crate) async fn examine(runtime: &Runtime, bytes: &[u8], slot: Slot) -> (Report, Option<Compiled>) {
    let compiled = runtime.compile(bytes, slot).await;
    let (findings, plugin) = match compiled {
        Ok(plugin) => (vec![], Some(plugin)),
        Err(why) => (vec![Finding::of(&why)], None),
    };
    let report = Report {
        digest: Digest::of(bytes).to_string(),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        slot,
        imports: vec![],
        findings,
        description: plugin.as_ref().map(|plugin| plugin.description().clone()),
    };
    (report, plugin)
}

impl Report {
    /// Whether a host would take it.
    pub(crate) fn accepted(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Warning)
    }

    /// For a person.
    pub(crate) fn words(&self) -> String {
        let verdict = if self.accepted() { styled(GOOD, "accepted") } else { styled(BAD, "refused") };
        let mut lines = vec![format!("{verdict} for {}, {}", self.slot, size(self.size))];
        if let Some(Description { name, version, summary, .. }) = &self.description {
            lines.push(format!("  {name} {version}: {summary}"));
        }
        lines.push(format!("  {}", styled(FAINT, &format!("sha256 {}", self.digest))));
        lines.extend(self.findings.iter().map(Finding::words));
        lines.join("\n")
    }
}

impl Finding {
    fn words(&self) -> String {
        let severity = match self.severity {
            Severity::Error => styled(BAD, "error"),
            Severity::Warning => styled(ODD, "warning"),
        };
        format!("  {severity} at {}: {}", self.at, self.says)
    }

    fn of(why: &CompileError) -> Self {
        let at = match why {
            CompileError::Refused(_) | CompileError::Compile(_) => String::from("bytes"),
            CompileError::Link(_) => String::from("imports"),
            CompileError::Describe(_) => String::from("export describe"),
            CompileError::Host(_) => String::from("host"),
        };
        Self { severity: Severity::Error, at, says: why.to_string() }
    }
}
