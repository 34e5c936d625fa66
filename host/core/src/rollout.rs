//! Which version of a plugin is asked: activation, rollback, deactivation (PLUG-1).
//!
//! A registration method has versions under its name, one of them active; several methods are active
//! side by side. Of routers and of NAT policies one is active in all, whatever its name. A version
//! that is left may *drain*: attempts that began with it finish with it. Or it is *killed*: they get
//! the declared default from then on.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    policy::Slot,
    row::{PluginVersion, VersionState},
};

/// What becomes of attempts that began with a version that is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leave {
    /// They finish with it.
    #[default]
    Drain,
    /// They get the declared default.
    Kill,
}

/// Why nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotChanged {
    /// There is no such version.
    #[error("there is no such version")]
    Unknown,
    /// It was taken back for good.
    #[error("this version was killed; upload it again to use it")]
    Killed,
    /// No version of this name is active.
    #[error("no version of it is active")]
    Inactive,
    /// No version was active before.
    #[error("no version was active before this one")]
    NothingBefore,
}

/// Makes a version, with this configuration, the one that is asked. What it gives is to be stored:
/// the versions that change, as they shall be.
pub fn activate(
    all: &[PluginVersion],
    (slot, name, version): (Slot, &str, u32),
    configuration: &str,
) -> Result<Vec<PluginVersion>, NotChanged> {
    let wanted = |it: &&PluginVersion| it.slot == slot && it.name == name && it.version == version;
    let wanted = all.iter().find(wanted).ok_or(NotChanged::Unknown)?;
    if wanted.state == VersionState::Killed {
        return Err(NotChanged::Killed);
    }
    let count = all.iter().map(|it| it.activated).max().unwrap_or(0).saturating_add(1);
    let others = rivals(all, slot, name).filter(|it| *it != wanted && it.state == VersionState::Active);
    let mut changed: Vec<PluginVersion> = others.map(|it| left(it, Leave::Drain)).collect();
    changed.push(PluginVersion {
        state: VersionState::Active,
        activated: count,
        configuration: String::from(configuration),
        ..wanted.clone()
    });
    Ok(changed)
}

/// Goes back to the version that was active before; a second rollback goes back further.
pub fn rollback(
    all: &[PluginVersion],
    (slot, name): (Slot, &str),
    leave: Leave,
) -> Result<Vec<PluginVersion>, NotChanged> {
    let current = active(all, slot, name).ok_or(NotChanged::Inactive)?;
    let before = rivals(all, slot, name)
        .filter(|it| it.activated > 0 && it.activated < current.activated)
        .filter(|it| it.state != VersionState::Killed)
        .max_by_key(|it| it.activated)
        .ok_or(NotChanged::NothingBefore)?;
    // As if it had never been active.
    let gone = PluginVersion { activated: 0, ..left(current, leave) };
    Ok([gone, PluginVersion { state: VersionState::Active, ..before.clone() }].into())
}

/// Leaves a plugin's slot, or a method's name, without an active version.
pub fn deactivate(
    all: &[PluginVersion],
    (slot, name): (Slot, &str),
    leave: Leave,
) -> Result<Vec<PluginVersion>, NotChanged> {
    let current = active(all, slot, name).ok_or(NotChanged::Inactive)?;
    Ok([left(current, leave)].into())
}

/// The active version of a name.
pub fn active<'a>(all: &'a [PluginVersion], slot: Slot, name: &str) -> Option<&'a PluginVersion> {
    all.iter().find(|it| it.slot == slot && it.name == name && it.state == VersionState::Active)
}

/// The versions of which one is active.
fn rivals<'a>(all: &'a [PluginVersion], slot: Slot, name: &str) -> impl Iterator<Item = &'a PluginVersion> {
    let by_name = slot == Slot::RegistrationMethod;
    all.iter().filter(move |it| it.slot == slot && (!by_name || it.name == name))
}

/// Only attempts ask a version that is not active: other slots have nothing that drains.
fn left(version: &PluginVersion, leave: Leave) -> PluginVersion {
    let state = match (leave, version.slot) {
        (Leave::Kill, _) => VersionState::Killed,
        (Leave::Drain, Slot::RegistrationMethod) => VersionState::Draining,
        (Leave::Drain, Slot::NatPolicy | Slot::InviteRouter) => VersionState::Inactive,
    };
    PluginVersion { state, ..version.clone() }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use switchhook_protocol::time::Timestamp;

    use super::*;

    fn version(slot: Slot, name: &str, version: u32, activated: u64, state: VersionState) -> PluginVersion {
        PluginVersion {
            slot,
            name: name.into(),
            version,
            digest: [7; 32],
            size: 1,
            webhook: None,
            uploaded_at: Timestamp::from_millis(0),
            uploaded_by: "acme".into(),
            report: "{}".into(),
            state,
            activated,
            configuration: "{}".into(),
        }
    }

    fn router(name: &str, number: u32, activated: u64, state: VersionState) -> PluginVersion {
        version(Slot::InviteRouter, name, number, activated, state)
    }

    fn method(name: &str, number: u32, activated: u64, state: VersionState) -> PluginVersion {
        version(Slot::RegistrationMethod, name, number, activated, state)
    }

    /// The versions after a change.
    fn after(mut all: Vec<PluginVersion>, changed: Vec<PluginVersion>) -> Vec<PluginVersion> {
        for new in changed {
            let same = |it: &&mut PluginVersion| (&it.name, it.version) == (&new.name, new.version);
            if let Some(found) = all.iter_mut().find(same) {
                *found = new;
            }
        }
        all
    }

    #[test]
    fn plug_1_one_router_is_active_whatever_its_name() {
        let all = [
            router("ring-all", 1, 1, VersionState::Active),
            router("hunt", 1, 0, VersionState::Inactive),
            method("sms", 1, 1, VersionState::Active),
        ];
        let changed = activate(&all, (Slot::InviteRouter, "hunt", 1), r#"{"a":1}"#).unwrap();
        let hunt = PluginVersion {
            configuration: r#"{"a":1}"#.into(),
            ..router("hunt", 1, 2, VersionState::Active)
        };
        assert_eq!(changed, [router("ring-all", 1, 1, VersionState::Inactive), hunt]);
    }

    #[test]
    fn reg_12_methods_of_other_names_stay_active_and_the_former_version_drains() {
        let all = [
            method("sms", 1, 1, VersionState::Active),
            method("sms", 2, 0, VersionState::Inactive),
            method("entry", 1, 2, VersionState::Active),
        ];
        let changed = activate(&all, (Slot::RegistrationMethod, "sms", 2), "{}").unwrap();
        let expected =
            [method("sms", 1, 1, VersionState::Draining), method("sms", 2, 3, VersionState::Active)];
        assert_eq!(changed, expected);
    }

    #[test]
    fn a_rollback_goes_to_the_version_before_and_a_second_one_further_back() {
        let all = vec![
            router("ring-all", 1, 1, VersionState::Inactive),
            router("hunt", 1, 2, VersionState::Inactive),
            router("hunt", 2, 3, VersionState::Active),
        ];
        let once = after(all.clone(), rollback(&all, (Slot::InviteRouter, "hunt"), Leave::Drain).unwrap());
        assert_eq!(active(&once, Slot::InviteRouter, "hunt").unwrap().version, 1);
        let twice = after(once.clone(), rollback(&once, (Slot::InviteRouter, "hunt"), Leave::Kill).unwrap());
        assert_eq!(active(&twice, Slot::InviteRouter, "ring-all").unwrap().version, 1);
        assert_eq!(twice[1].state, VersionState::Killed);
        assert_eq!(
            rollback(&twice, (Slot::InviteRouter, "ring-all"), Leave::Drain),
            Err(NotChanged::NothingBefore)
        );
        assert_eq!(rollback(&twice, (Slot::InviteRouter, "hunt"), Leave::Drain), Err(NotChanged::Inactive));
    }

    #[test]
    fn what_was_killed_is_not_activated_and_not_gone_back_to() {
        let all = [method("sms", 1, 1, VersionState::Killed), method("sms", 2, 2, VersionState::Active)];
        let sms = Slot::RegistrationMethod;
        assert_eq!(activate(&all, (sms, "sms", 1), "{}"), Err(NotChanged::Killed));
        assert_eq!(activate(&all, (sms, "sms", 3), "{}"), Err(NotChanged::Unknown));
        assert_eq!(rollback(&all, (sms, "sms"), Leave::Drain), Err(NotChanged::NothingBefore));
        let changed = deactivate(&all, (sms, "sms"), Leave::Drain).unwrap();
        assert_eq!(changed, [method("sms", 2, 2, VersionState::Draining)]);
    }
}
