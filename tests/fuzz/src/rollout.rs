//! Which version of a plugin is asked, after any changes.

use switchhook_core::{
    policy::Slot,
    rollout::{Leave, NotChanged, activate, active, deactivate, rollback},
    row::{PluginVersion, VersionState},
};
use switchhook_protocol::time::Timestamp;

/// Each byte is a change to the versions of two routers and two methods. After each change at most
/// one version is asked where one may be, what was killed stays so, and only methods drain. Whoever
/// activates and then goes back asks what was asked before.
pub fn rollout(bytes: &[u8]) -> bool {
    let mut all = versions();
    let mut changes = 0;
    for byte in bytes.iter().take(MOST) {
        let before = all.clone();
        let Ok(changed) = change(&all, *byte) else {
            continue;
        };
        apply(&mut all, changed);
        holds(&before, &all);
        changes += 1;
    }
    changes > 0
}

/// Changes of one run: more show nothing new.
const MOST: usize = 256;

const NAMES: [(Slot, &str); 4] = [
    (Slot::InviteRouter, "ring-all"),
    (Slot::InviteRouter, "hunt"),
    (Slot::RegistrationMethod, "sms"),
    (Slot::RegistrationMethod, "entry"),
];

/// Bits 0 and 1: which change; 2 and 3: whose; 4: which version; 5: what becomes of the one left.
fn change(all: &[PluginVersion], byte: u8) -> Result<Vec<PluginVersion>, NotChanged> {
    let (slot, name) = NAMES.get(usize::from(byte >> 2 & 3)).copied().expect("two bits");
    let leave = if byte & 1 << 5 == 0 { Leave::Drain } else { Leave::Kill };
    match byte & 3 {
        0 | 1 => activated(all, (slot, name, u32::from(byte >> 4 & 1) + 1)),
        2 => rollback(all, (slot, name), leave),
        _ => deactivate(all, (slot, name), leave),
    }
}

/// Activates, and looks where a way back would lead.
fn activated(
    all: &[PluginVersion],
    (slot, name, version): (Slot, &str, u32),
) -> Result<Vec<PluginVersion>, NotChanged> {
    let changed = activate(all, (slot, name, version), "{}")?;
    let asked = all.iter().find(|it| it.state == VersionState::Active && are_rivals(it, slot, name));
    if let Some(asked) = asked.filter(|it| (it.name.as_str(), it.version) != (name, version)) {
        let mut all = all.to_vec();
        apply(&mut all, changed.clone());
        let back = rollback(&all, (slot, name), Leave::Drain).expect("a version was asked before");
        apply(&mut all, back);
        let again = active(&all, slot, &asked.name).map(|it| it.version);
        assert_eq!(again, Some(asked.version), "the way back from {name} {version}");
    }
    Ok(changed)
}

fn holds(before: &[PluginVersion], all: &[PluginVersion]) {
    for (slot, name) in NAMES {
        let asked = all.iter().filter(|it| it.state == VersionState::Active && are_rivals(it, slot, name));
        assert!(asked.count() <= 1, "two versions are asked: {all:?}");
    }
    for (old, new) in before.iter().zip(all) {
        assert!(old.state != VersionState::Killed || new == old, "{old:?} came back as {new:?}");
        let drains = new.state == VersionState::Draining;
        assert!(!drains || new.slot == Slot::RegistrationMethod, "{new:?} drains");
    }
}

fn are_rivals(it: &PluginVersion, slot: Slot, name: &str) -> bool {
    it.slot == slot && (slot != Slot::RegistrationMethod || it.name == name)
}

fn apply(all: &mut [PluginVersion], changed: Vec<PluginVersion>) {
    for new in changed {
        let same =
            |it: &PluginVersion| it.slot == new.slot && it.name == new.name && it.version == new.version;
        let old = all.iter_mut().find(|it| same(it));
        *old.expect("a change is about a version that there is") = new;
    }
}

fn versions() -> Vec<PluginVersion> {
    let of = |(slot, name): (Slot, &str)| [1, 2].map(|version| uploaded(slot, name, version));
    NAMES.into_iter().flat_map(of).collect()
}

fn uploaded(slot: Slot, name: &str, version: u32) -> PluginVersion {
    PluginVersion {
        slot,
        name: name.to_owned(),
        version,
        digest: [0; 32],
        size: 1,
        webhook: None,
        uploaded_at: Timestamp::from_millis(0),
        uploaded_by: "fuzz".to_owned(),
        report: "{}".to_owned(),
        state: VersionState::Inactive,
        activated: 0,
        configuration: "{}".to_owned(),
    }
}
