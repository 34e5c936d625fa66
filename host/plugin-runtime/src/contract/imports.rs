//! What a plugin wants of the host: our own interfaces, a WASI without authority, and nothing else.

use switchhook_core::policy::Grants;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wit_parser::{Interface, WorldItem, WorldKey};

use super::{compare::Comparison, ours};
use crate::wasi;

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
            Some(ComponentEntityType::Instance(id)) => match ours::interface(name) {
                Some(ours) => {
                    if is_key_value(name) && grants.key_value_bytes == 0 {
                        comparison.warn(NO_PAIRS.to_owned());
                    }
                    instance(comparison, ours, id);
                }
                None if wasi::offers(name) => {}
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

/// Some languages import everything there is, so this is no reason to refuse.
const NO_PAIRS: &str =
    "it is granted no key-value pairs and will find none; `switchhook plugin grant` changes that";

const OURS: &str = "switchhook:";
