//! The contract as a page for people, written from `wit/` and its comments.

use wit_parser::{
    Function, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeOwner, World, WorldItem, WorldKey,
};

use super::ours;

const HEAD: &str = "\
# The contract of plugins

Written from [`wit/`](../wit/README.md) by `switchhook docs contract`; do not edit. How to write, test and run a plugin: \
[PLUGINS](PLUGINS.md).
";

/// All worlds and what they share, in Markdown.
pub fn contract_reference() -> String {
    let resolve = ours::resolve();
    let mut page = HEAD.to_owned();
    for (_, world) in &resolve.worlds {
        of_world(resolve, world, &mut page);
    }
    let shared = resolve.interfaces.iter().map(|(id, _)| id).filter(|id| is_shared(resolve, *id));
    for id in shared {
        of_interface(resolve, id, &mut page);
    }
    page
}

/// The package `types`: what is written once for all worlds.
fn is_shared(resolve: &Resolve, id: InterfaceId) -> bool {
    resolve.id_of(id).is_some_and(|name| name.starts_with("switchhook:types/"))
}

fn of_world(resolve: &Resolve, world: &World, page: &mut String) {
    heading(page, 2, &format!("World `{}`", world.name), world.docs.contents.as_deref());
    let functions = world.exports.iter().filter_map(|(_, item)| match item {
        WorldItem::Function(function) => Some(function),
        WorldItem::Interface { .. } | WorldItem::Type { .. } => None,
    });
    for function in functions {
        of_function(resolve, function, page);
    }
    for (key, _) in &world.imports {
        if let WorldKey::Interface(id) = key
            && !is_shared(resolve, *id)
        {
            of_types(resolve, *id, page);
        }
    }
    let own = resolve.types.iter().map(|(_, ty)| ty);
    let mine = |ty: &&TypeDef| {
        let TypeOwner::World(owner) = ty.owner else { return false };
        resolve.worlds.get(owner).is_some_and(|owner| owner.name == world.name)
    };
    own.filter(mine).for_each(|ty| of_type(resolve, ty, page));
}

fn of_interface(resolve: &Resolve, id: InterfaceId, page: &mut String) {
    let Some(interface) = resolve.interfaces.get(id) else { return };
    let name = interface.name.as_deref().unwrap_or_default();
    heading(page, 2, &format!("Interface `{name}`"), interface.docs.contents.as_deref());
    for function in interface.functions.values() {
        of_function(resolve, function, page);
    }
    of_types(resolve, id, page);
}

fn of_types(resolve: &Resolve, id: InterfaceId, page: &mut String) {
    let Some(interface) = resolve.interfaces.get(id) else { return };
    for ty in interface.types.values().filter_map(|id| resolve.types.get(*id)) {
        of_type(resolve, ty, page);
    }
}

fn of_function(resolve: &Resolve, function: &Function, page: &mut String) {
    let parameter = |param: &wit_parser::Param| format!("{}: {}", param.name, word(resolve, param.ty));
    let parameters: Vec<_> = function.params.iter().map(parameter).collect();
    let answer = function.result.map(|ty| format!(" -> {}", word(resolve, ty))).unwrap_or_default();
    let title = format!("`{}`", function.name);
    heading(page, 3, &title, function.docs.contents.as_deref());
    let text = format!("\n```wit\n{}: func({}){answer}\n```\n", function.name, parameters.join(", "));
    page.push_str(&text);
}

fn of_type(resolve: &Resolve, ty: &TypeDef, page: &mut String) {
    let (Some(name), Some((kind, rows))) = (&ty.name, members(resolve, &ty.kind)) else { return };
    heading(page, 3, &format!("{kind} `{name}`"), ty.docs.contents.as_deref());
    if rows.is_empty() {
        return;
    }
    page.push_str("\n| | | |\n| --- | --- | --- |\n");
    for (member, of, docs) in rows {
        let text = format!("| `{member}` | {of} | {docs} |\n");
        page.push_str(&text);
    }
}

/// Name, type and comment of each part.
type Rows = Vec<(String, String, String)>;

/// What a type is made of; nothing for one that another package writes down.
fn members(resolve: &Resolve, kind: &TypeDefKind) -> Option<(&'static str, Rows)> {
    let of = |ty: Type| format!("`{}`", word(resolve, ty));
    let docs = |docs: &wit_parser::Docs| line(docs.contents.as_deref());
    if let TypeDefKind::Record(record) = kind {
        let field = |it: &wit_parser::Field| (it.name.clone(), of(it.ty), docs(&it.docs));
        Some(("Record", record.fields.iter().map(field).collect()))
    } else if let TypeDefKind::Variant(variant) = kind {
        let case =
            |it: &wit_parser::Case| (it.name.clone(), it.ty.map(of).unwrap_or_default(), docs(&it.docs));
        Some(("Variant", variant.cases.iter().map(case).collect()))
    } else if let TypeDefKind::Enum(list) = kind {
        let case = |it: &wit_parser::EnumCase| (it.name.clone(), String::new(), docs(&it.docs));
        Some(("Enum", list.cases.iter().map(case).collect()))
    } else if let TypeDefKind::Type(ty) = kind
        && !matches!(ty, Type::Id(_))
    {
        Some(("Type", vec![("is".to_owned(), of(*ty), String::new())]))
    } else {
        None
    }
}

/// A type as WIT spells it.
fn word(resolve: &Resolve, ty: Type) -> String {
    let Type::Id(id) = ty else { return format!("{ty:?}").to_lowercase() };
    let Some(ty) = resolve.types.get(id) else { return String::new() };
    if let Some(name) = &ty.name {
        return name.clone();
    }
    let maybe = |ty: Option<Type>| ty.map_or_else(|| "_".to_owned(), |ty| word(resolve, ty));
    if let TypeDefKind::Option(ty) = &ty.kind {
        format!("option<{}>", word(resolve, *ty))
    } else if let TypeDefKind::List(ty) = &ty.kind {
        format!("list<{}>", word(resolve, *ty))
    } else if let TypeDefKind::Result(result) = &ty.kind {
        format!("result<{}, {}>", maybe(result.ok), maybe(result.err))
    } else if let TypeDefKind::Tuple(tuple) = &ty.kind {
        let all: Vec<_> = tuple.types.iter().map(|ty| word(resolve, *ty)).collect();
        format!("tuple<{}>", all.join(", "))
    } else {
        ty.kind.as_str().to_owned()
    }
}

fn heading(page: &mut String, level: usize, title: &str, docs: Option<&str>) {
    let text = format!("\n{} {title}\n", "#".repeat(level));
    page.push_str(&text);
    if let Some(docs) = docs {
        let text = format!("\n{}\n", docs.trim());
        page.push_str(&text);
    }
}

/// A comment in a table.
fn line(docs: Option<&str>) -> String {
    docs.unwrap_or_default().trim().replace('\n', " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_world_function_and_case() {
        let page = contract_reference();

        for word in ["World `invite-router`", "World `nat-policy`", "World `registration-method`"] {
            assert!(page.contains(word), "{word}");
        }
        for word in
            ["### `route`", "### `step`", "`direct-then-relay`", "`send-signature`", "Interface `key-value`"]
        {
            assert!(page.contains(word), "{word}");
        }
        assert!(page.contains("route: func(context: context, invite: invite, targets: list<target>"));
    }
}
