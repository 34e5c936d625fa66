//! The contract that this host keeps: `wit/`, as this program was built with it.

use std::sync::LazyLock;

use switchhook_core::policy::Slot;
use wit_parser::{Interface, Resolve, World};

/// All packages of the contract.
pub(super) fn resolve() -> &'static Resolve {
    #[expect(clippy::expect_used, reason = "part of the program; every test of a report parses it")]
    static CONTRACT: LazyLock<Resolve> = LazyLock::new(|| parse().expect("the contract parses"));
    &CONTRACT
}

/// The world of a slot.
#[expect(clippy::expect_used, reason = "each slot has the world of its name; a test looks at each")]
pub(super) fn world(slot: Slot) -> &'static World {
    let mut worlds = resolve().worlds.iter().map(|(_, world)| world);
    worlds.find(|world| world.name == slot.as_str()).expect("a world of each slot")
}

/// The interface of a full name, such as `switchhook:types/log@0.1.0-dev`.
pub(super) fn interface(name: &str) -> Option<&'static Interface> {
    let named = |id| resolve().id_of(id).is_some_and(|ours| ours == name);
    resolve().interfaces.iter().find(|(id, _)| named(*id)).map(|(_, interface)| interface)
}

/// The full name of an interface whose name without its version this is.
pub(super) fn newest(unversioned: &str) -> Option<String> {
    let mut names = resolve().interfaces.iter().filter_map(|(id, _)| resolve().id_of(id));
    names.find(|name| name.split('@').next() == Some(unversioned))
}

/// The slot that a component with these exports was built for.
pub(super) fn slot_of(exports: &[String]) -> Option<Slot> {
    let has = |name| exports.iter().any(|export| export == name);
    match (has("route"), has("decide"), has("claim") || has("step")) {
        (true, false, false) => Some(Slot::InviteRouter),
        (false, true, false) => Some(Slot::NatPolicy),
        (false, false, true) => Some(Slot::RegistrationMethod),
        _ => None,
    }
}

fn parse() -> anyhow::Result<Resolve> {
    let mut resolve = Resolve::default();
    for (path, text) in SOURCES {
        resolve.push_source(path, text)?;
    }
    Ok(resolve)
}

/// In the order of their use.
const SOURCES: [(&str, &str); 4] = [
    ("types.wit", include_str!("../../../../wit/types/types.wit")),
    ("registration-method.wit", include_str!("../../../../wit/registration-method/registration-method.wit")),
    ("nat-policy.wit", include_str!("../../../../wit/nat-policy/nat-policy.wit")),
    ("invite-router.wit", include_str!("../../../../wit/invite-router/invite-router.wit")),
];
