//! Compares types as a component has them with those of the contract.
//!
//! A component carries the shape of its types, and we carry their names: both trees are walked together,
//! and each difference is said with the name that stands in `wit/`.

use switchhook_core::policy::Slot;
use wasmparser::{
    component_types::{
        ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncTypeId,
        ComponentValType, RecordType, VariantType,
    },
    names::KebabString,
};
use wit_parser::{Enum, Function, Record, Type, TypeDefKind, TypeId, Variant, World, WorldItem, WorldKey};

use super::{Finding, Severity, ours, survey::Survey};

/// A comparison under way.
pub(super) struct Comparison<'a> {
    pub(super) world: &'static World,
    pub(super) survey: &'a Survey,
    /// The part that is looked at.
    pub(super) at: String,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(slot: Slot, survey: &'a Survey) -> Self {
        Self { world: ours::world(slot), survey, at: String::new(), findings: vec![] }
    }

    /// Compares what the host is going to call.
    pub(super) fn exports(&mut self) {
        for (key, item) in &self.world.exports {
            let (WorldKey::Name(name), WorldItem::Function(function)) = (key, item) else { continue };
            self.at = format!("export {name}");
            match self.survey.types.component_item_for_export(name).map(|item| item.ty) {
                Some(ComponentEntityType::Func(theirs)) => self.function(function, theirs),
                Some(_) => self.error(format!("`{name}` is not a function")),
                None => self.error(format!("it does not export the function `{name}`")),
            }
        }
    }

    pub(super) fn function(&mut self, ours: &Function, theirs: ComponentFuncTypeId) {
        let Some(theirs) = self.survey.types.as_ref().get(theirs) else { return };
        let name = &ours.name;
        let expected: Vec<_> = ours.params.iter().map(|param| param.name.as_str()).collect();
        let found: Vec<_> = theirs.params.iter().map(|(name, _)| name.as_str()).collect();
        let words = || {
            format!("your `{name}` takes ({}); the contract says ({})", found.join(", "), expected.join(", "))
        };
        if expected.len() != found.len() {
            return self.error(format!("{}; {ANOTHER}", words()));
        }
        if expected != found {
            self.find(Severity::Warning, words());
        }
        for (ours, (_, theirs)) in ours.params.iter().zip(&theirs.params) {
            self.ty(&format!("parameter `{}` of `{name}`", ours.name), ours.ty, *theirs);
        }
        self.optional(&format!("answer of `{name}`"), ours.result, theirs.result);
    }

    /// Compares a type that has a name.
    pub(super) fn named(&mut self, name: &str, ours: TypeId, theirs: ComponentDefinedTypeId) {
        self.ty(&format!("`{name}`"), Type::Id(ours), ComponentValType::Type(theirs));
    }

    fn ty(&mut self, place: &str, ours: Type, theirs: ComponentValType) {
        let Type::Id(id) = ours else { return self.primitive(place, ours, theirs) };
        let Some(ours) = ours::resolve().types.get(id) else { return };
        if let TypeDefKind::Type(target) = &ours.kind {
            return self.ty(place, *target, theirs);
        }
        let name = ours.name.as_ref().map(|name| format!("`{name}`"));
        self.defined(name.as_deref().unwrap_or(place), &ours.kind, theirs);
    }

    fn defined(&mut self, place: &str, ours: &TypeDefKind, theirs: ComponentValType) {
        use ComponentDefinedType as Theirs;
        let survey = self.survey;
        let found = match theirs {
            ComponentValType::Type(id) => survey.types.as_ref().get(id),
            ComponentValType::Primitive(_) => None,
        };
        match (ours, found) {
            (TypeDefKind::Record(ours), Some(Theirs::Record(theirs))) => self.record(place, ours, theirs),
            (TypeDefKind::Variant(ours), Some(Theirs::Variant(theirs))) => self.variant(place, ours, theirs),
            (TypeDefKind::Enum(ours), Some(Theirs::Enum(theirs))) => {
                self.cases(place, ours, &names(theirs));
            }
            (TypeDefKind::Option(ours), Some(Theirs::Option { ty, .. })) => self.ty(place, *ours, *ty),
            (TypeDefKind::List(ours), Some(Theirs::List { element, .. })) => self.ty(place, *ours, *element),
            (TypeDefKind::Result(ours), Some(Theirs::Result { ok, err, .. })) => {
                self.optional(place, ours.ok, *ok);
                self.optional(place, ours.err, *err);
            }
            (TypeDefKind::Tuple(ours), Some(Theirs::Tuple(theirs)))
                if ours.types.len() == theirs.types.len() =>
            {
                for (ours, theirs) in ours.types.iter().zip(&theirs.types) {
                    self.ty(place, *ours, *theirs);
                }
            }
            _ => self.other(place, ours.as_str(), theirs),
        }
    }

    fn record(&mut self, place: &str, ours: &Record, theirs: &RecordType) {
        let expected: Vec<_> = ours.fields.iter().map(|field| field.name.as_str()).collect();
        self.members(place, "field", &expected, &names(theirs.fields.keys()));
        for field in &ours.fields {
            let mut named = theirs.fields.iter().filter(|(name, _)| name.as_str() == field.name);
            if let Some((_, theirs)) = named.next() {
                self.ty(&format!("`{}` of {place}", field.name), field.ty, *theirs);
            }
        }
    }

    fn variant(&mut self, place: &str, ours: &Variant, theirs: &VariantType) {
        let expected: Vec<_> = ours.cases.iter().map(|case| case.name.as_str()).collect();
        self.members(place, "case", &expected, &names(theirs.cases.keys()));
        for case in &ours.cases {
            let mut named = theirs.cases.iter().filter(|(name, _)| name.as_str() == case.name);
            if let Some((_, theirs)) = named.next() {
                self.optional(&format!("`{}` of {place}", case.name), case.ty, theirs.ty);
            }
        }
    }

    fn cases(&mut self, place: &str, ours: &Enum, found: &[&str]) {
        let expected: Vec<_> = ours.cases.iter().map(|case| case.name.as_str()).collect();
        self.members(place, "case", &expected, found);
    }

    /// Compares the names of fields or cases; their order is part of the type.
    fn members(&mut self, place: &str, kind: &str, expected: &[&str], found: &[&str]) {
        if expected == found {
            return;
        }
        let missing = expected.iter().filter(|name| !found.contains(name));
        let missing = missing.map(|name| format!("your {place} has no {kind} `{name}`"));
        let extra = found.iter().filter(|name| !expected.contains(name));
        let extra =
            extra.map(|name| format!("your {place} has a {kind} `{name}`, and the contract has none"));
        let mut differences: Vec<_> = missing.chain(extra).collect();
        if differences.is_empty() {
            differences
                .push(format!("the {kind}s of your {place} are in another order: {}", found.join(", ")));
        }
        for difference in differences {
            self.error(format!("{difference}; {ANOTHER}"));
        }
    }

    fn optional(&mut self, place: &str, ours: Option<Type>, theirs: Option<ComponentValType>) {
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => self.ty(place, ours, theirs),
            (None, None) => {}
            (Some(_), None) => self.error(format!("your {place} carries nothing; {ANOTHER}")),
            (None, Some(_)) => {
                self.error(format!("your {place} carries a value, and the contract's none; {ANOTHER}"));
            }
        }
    }

    fn primitive(&mut self, place: &str, ours: Type, theirs: ComponentValType) {
        let word = format!("{ours:?}").to_lowercase();
        if self.word(theirs) != word {
            self.other(place, &word, theirs);
        }
    }

    fn other(&mut self, place: &str, expected: &str, theirs: ComponentValType) {
        let found = self.word(theirs);
        self.error(format!("your {place} is a {found}, and the contract's a {expected}; {ANOTHER}"));
    }

    /// What kind of type it is, as WIT spells it.
    fn word(&self, ty: ComponentValType) -> String {
        use ComponentDefinedType as Defined;
        let defined = match ty {
            ComponentValType::Primitive(primitive) => return primitive.to_string(),
            ComponentValType::Type(id) => self.survey.types.as_ref().get(id),
        };
        let word = match defined {
            Some(Defined::Primitive(primitive)) => return primitive.to_string(),
            Some(Defined::Record(_)) => "record",
            Some(Defined::Variant(_)) => "variant",
            Some(Defined::Enum(_)) => "enum",
            Some(Defined::Option { .. }) => "option",
            Some(Defined::Result { .. }) => "result",
            Some(Defined::List { .. }) => "list",
            Some(Defined::Tuple(_)) => "tuple",
            Some(Defined::Flags(_)) => "flags",
            _ => "type that plugins do not exchange",
        };
        word.to_owned()
    }

    pub(super) fn warn(&mut self, says: String) {
        self.find(Severity::Warning, says);
    }

    pub(super) fn error(&mut self, says: String) {
        self.find(Severity::Error, says);
    }

    /// One difference shows up wherever its type is used; it is said once.
    fn find(&mut self, severity: Severity, says: String) {
        if self.findings.iter().all(|finding| finding.says != says) {
            self.findings.push(Finding { severity, at: self.at.clone(), says });
        }
    }
}

fn names<'a>(kebab: impl IntoIterator<Item = &'a KebabString>) -> Vec<&'a str> {
    kebab.into_iter().map(KebabString::as_str).collect()
}

const ANOTHER: &str = "were you built against another version of the contract?";
