//! What a plugin wants of the host: our own interfaces, WASI without authority, and nothing else.

use switchhook_core::policy::Grants;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wit_parser::{Interface, WorldItem, WorldKey};

use super::{compare::Comparison, ours};

/// The version of the contract that the imports of a component name.
pub(super) fn contract(imports: &[String]) -> Option<String> {
    let ours = imports.iter().find(|name| name.starts_with(OURS))?;
    Some(ours.split_once('@')?.1.to_owned())
}

/// Judges each import by its name, then by its types.
pub(super) fn compare(comparison: &mut Comparison<'_>, grants: &Grants) {
    for name in &comparison.survey.imports {
        comparison.at = format!("import {name}");
        match comparison.survey.types.component_item_for_import(name).map(|item| item.ty) {
            Some(ComponentEntityType::Instance(_)) if is_wasi(name) => {}
            Some(ComponentEntityType::Instance(id)) => match ours::interface(name) {
                Some(_) if is_key_value(name) && grants.key_value_bytes == 0 => comparison.error(
                    "it is granted no key-value pairs; grant it `key_value_bytes`, or build it without"
                        .to_owned(),
                ),
                Some(ours) => instance(comparison, ours, id),
                None => comparison.error(unknown(name)),
            },
            Some(ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(id), .. }) => {
                if let Some(WorldItem::Type { id: ours, .. }) =
                    comparison.world.imports.get(&WorldKey::Name(name.clone()))
                {
                    comparison.named(name, *ours, id);
                }
            }
            _ => comparison.error(unknown(name)),
        }
    }
}

fn instance(
    comparison: &mut Comparison<'_>,
    ours: &Interface,
    theirs: wasmparser::component_types::ComponentInstanceTypeId,
) {
    let Some(theirs) = comparison.survey.types.as_ref().get(theirs) else { return };
    for (name, item) in &theirs.exports {
        match (item.ty, ours.functions.get(name), ours.types.get(name)) {
            (ComponentEntityType::Func(theirs), Some(ours), _) => comparison.function(ours, theirs),
            (ComponentEntityType::Func(_), None, _) => {
                let other = "were you built against another version of the contract?";
                comparison.error(format!("the host has no function `{name}` there; {other}"));
            }
            (
                ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(theirs), .. },
                _,
                Some(ours),
            ) => comparison.named(name, *ours, theirs),
            // Types that no function of ours has are nobody's concern.
            _ => {}
        }
    }
}

fn unknown(name: &str) -> String {
    let (unversioned, version) = name.split_once('@').unwrap_or((name, "no version"));
    match ours::newest(unversioned).as_deref().and_then(|known| known.split_once('@')) {
        Some((_, known)) => format!("it is built against {version}; this host knows {known}"),
        None if name.starts_with(OURS) => "the contract of this host has no such interface".to_owned(),
        None => {
            format!(
                "it imports {unversioned}, which plugins are not given; switch that feature off when you build"
            )
        }
    }
}

fn is_key_value(name: &str) -> bool {
    name.starts_with("switchhook:types/key-value@")
}

/// WASI 0.2 that gives no authority: no files, no network, no time but that of the call.
fn is_wasi(name: &str) -> bool {
    let Some((interface, version)) = name.split_once('@') else { return false };
    version.starts_with("0.2.") && WASI.iter().any(|package| interface.starts_with(package))
}

/// Packages, and interfaces of packages.
const WASI: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

const OURS: &str = "switchhook:";
