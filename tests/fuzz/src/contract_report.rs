//! What an upload is told about itself.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use switchhook_core::policy::Grants;
use switchhook_plugin_runtime::{Report, Severity, Slot, report};

const SLOTS: [Slot; 3] = [Slot::RegistrationMethod, Slot::NatPolicy, Slot::InviteRouter];

/// Any upload gets a report for any slot that names these very bytes, and a reason if it is refused.
/// What is accepted belongs to one slot only, and a grant more never stands against it.
pub fn contract_report(bytes: &[u8]) -> bool {
    let accepted = SLOTS.map(|slot| {
        let bare = judged(bytes, slot, &Grants::default());
        let granted = judged(bytes, slot, &everything());
        assert!(granted || !bare, "{slot}: refused for a grant");
        granted
    });
    let slots = accepted.iter().filter(|accepted| **accepted).count();
    assert!(slots <= 1, "fits {slots} slots");
    slots == 1
}

fn judged(bytes: &[u8], slot: Slot, grants: &Grants) -> bool {
    let report = report(bytes, slot, grants);
    assert_eq!(report.digest.to_string(), HEXLOWER.encode(&Sha256::digest(bytes)), "its own digest");
    assert_eq!((report.size, report.slot), (bytes.len(), slot));
    assert!(report.findings.is_sorted_by_key(|finding| finding.severity), "worst first: {report:?}");
    let words = |text: &str| !text.trim().is_empty();
    assert!(report.findings.iter().all(|finding| words(&finding.at) && words(&finding.says)), "{report:?}");
    let refused = report.findings.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(report.accepted(), !refused);
    reads_back(&report);
    report.accepted()
}

/// Reports are stored, and shown by the command line.
fn reads_back(report: &Report) {
    let written = serde_json::to_string(report).expect("a report can be written");
    let read: Report = serde_json::from_str(&written).expect("a report reads back");
    assert_eq!(&read, report);
}

fn everything() -> Grants {
    Grants { outbound: vec!["*.example.com".to_owned()], key_value_bytes: 1 << 20, fetches_per_minute: 60 }
}
