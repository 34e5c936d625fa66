//! What a host says about a component, as a person reads it: from `check`, and from a refused upload.

use switchhook_core::policy::Description;
use switchhook_plugin_runtime::{Finding, Report, Severity};

use crate::cli::print::{BAD, FAINT, GOOD, ODD, size, styled};

/// For a person.
pub(crate) fn words(report: &Report) -> String {
    let verdict = if report.accepted() { styled(GOOD, "accepted") } else { styled(BAD, "refused") };
    let bytes = size(u64::try_from(report.size).unwrap_or(u64::MAX));
    let language = report.language.as_ref().map(|language| format!(", {language}")).unwrap_or_default();
    let mut lines =
        vec![format!("{verdict} for {}, {bytes}, {}{language}", report.slot, report.class.as_str())];
    if let Some(Description { name, version, summary, .. }) = &report.description {
        lines.push(format!("  {name} {version}: {summary}"));
    }
    lines.push(format!("  {}", styled(FAINT, &format!("sha256 {}", report.digest))));
    lines.extend(report.findings.iter().map(finding));
    lines.join("\n")
}

fn finding(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => styled(BAD, "error"),
        Severity::Warning => styled(ODD, "warning"),
    };
    format!("  {severity} at {}: {}", finding.at, finding.says)
}
