//! The list of all requirements, `tests/requirements.toml`: complete, each once, due or not.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::Id;

/// A list that has been found complete and without contradiction.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: BTreeMap<Id, Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Whether a test has to cite it.
    due: bool,
    /// What is checked, or what is missing.
    checks: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// How many requirements each family has.
    families: BTreeMap<String, u32>,
    requirements: BTreeMap<String, Entry>,
}

impl Ledger {
    /// Fails with everything that is wrong, not with the first thing only.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let File { families, requirements } = toml::from_str(text)?;
        let mut entries = BTreeMap::new();
        for (id, entry) in requirements {
            entries.insert(id.parse::<Id>().with_context(|| format!("{id:?} is no id"))?, entry);
        }
        let ledger = Self { entries };
        let wrong = ledger.wrong(&families);
        if !wrong.is_empty() {
            bail!(wrong.join("; "));
        }
        Ok(ledger)
    }

    pub(crate) fn due(&self) -> impl Iterator<Item = (&Id, &str)> {
        self.entries.iter().filter(|(_, entry)| entry.due).map(|(id, entry)| (id, entry.checks.as_str()))
    }

    pub(crate) fn not_due(&self) -> impl Iterator<Item = (&Id, &str)> {
        self.entries.iter().filter(|(_, entry)| !entry.due).map(|(id, entry)| (id, entry.checks.as_str()))
    }

    /// Whether this looks like one of our ids and is not in the list; `SHA-256` is none of ours.
    pub(crate) fn misses(&self, id: &Id) -> bool {
        let family = self.entries.keys().any(|entry| entry.family == id.family);
        let known =
            if id.part.is_some() { self.entries.contains_key(id) } else { self.parts(id).next().is_some() };
        family && !known
    }

    /// The entries that a citation of this id answers for.
    ///
    /// Whoever cites a requirement as a whole means its due part, if there is just one. Where several
    /// are due, such a citation is fine and answers for none of them: somebody has to name each.
    pub(crate) fn cited_by(&self, id: &Id) -> Vec<Id> {
        if self.entries.contains_key(id) {
            return vec![id.clone()];
        }
        if id.part.is_some() {
            return Vec::new();
        }
        let due: Vec<_> =
            self.parts(id).filter(|(_, entry)| entry.due).map(|(part, _)| part.clone()).collect();
        if due.len() == 1 { due } else { Vec::new() }
    }

    fn parts(&self, id: &Id) -> impl Iterator<Item = (&Id, &Entry)> {
        let whole = id.whole();
        self.entries.iter().filter(move |(entry, _)| entry.whole() == whole)
    }

    fn wrong(&self, families: &BTreeMap<String, u32>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (family, count) in families {
            for number in 1..=*count {
                let id = Id { family: family.clone(), number, part: None };
                if self.parts(&id).next().is_none() {
                    wrong.push(format!("{id} is missing"));
                }
            }
        }
        for (id, entry) in &self.entries {
            if families.get(&id.family).is_none_or(|count| id.number > *count) {
                wrong.push(format!("there is no {id}"));
            }
            if id.part.is_some() && self.entries.contains_key(&id.whole()) {
                wrong.push(format!("{id} is a part of {}, which stands there too", id.whole()));
            }
            if entry.checks.trim().is_empty() {
                wrong.push(format!("{id} does not say what it checks"));
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [families]
        INV = 2
        [requirements]
        INV-1 = { due = true, checks = "rings" }
        "INV-2.first" = { due = true, checks = "first" }
        "INV-2.choose" = { due = false, checks = "choose" }
    "#;

    #[test]
    fn a_complete_list_tells_due_from_not_due() {
        let ledger = Ledger::parse(GOOD).unwrap();

        assert_eq!(
            ledger.due().collect::<Vec<_>>(),
            [(&id("INV-1"), "rings"), (&id("INV-2.first"), "first")]
        );
        assert_eq!(ledger.not_due().collect::<Vec<_>>(), [(&id("INV-2.choose"), "choose")]);
    }

    #[test]
    fn the_committed_list_is_right() {
        Ledger::parse(include_str!("../../../tests/requirements.toml")).unwrap();
    }

    #[test]
    fn a_missing_a_strange_a_double_and_a_silent_id_are_all_named() {
        let cases = [
            (GOOD.replace("INV = 2", "INV = 3"), "INV-3 is missing"),
            (GOOD.replace("INV = 2", "INV = 1"), "there is no INV-2.first"),
            (
                format!("{GOOD}\nINV-2 = {{ due = true, checks = \"all\" }}"),
                "INV-2.choose is a part of INV-2",
            ),
            (GOOD.replace("\"rings\"", "\" \""), "INV-1 does not say"),
            (GOOD.replace("INV-1 =", "INVITE ="), "\"INVITE\" is no id"),
        ];
        for (text, complaint) in cases {
            let error = format!("{:#}", Ledger::parse(&text).unwrap_err());
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn citing_a_whole_requirement_means_its_only_due_part() {
        let one = Ledger::parse(GOOD).unwrap();
        let two = Ledger::parse(&GOOD.replace("due = false", "due = true")).unwrap();

        assert_eq!(one.cited_by(&id("INV-2")), [id("INV-2.first")]);
        assert_eq!(two.cited_by(&id("INV-2")), []);
        assert_eq!(two.cited_by(&id("INV-2.choose")), [id("INV-2.choose")]);
    }

    #[test]
    fn an_id_or_part_of_a_family_that_is_not_listed_is_missed() {
        let ledger = Ledger::parse(GOOD).unwrap();

        for missed in ["INV-3", "INV-2.last", "INV-1.first"] {
            assert!(ledger.misses(&id(missed)), "{missed}");
        }
        for not_missed in ["INV-2", "INV-2.choose", "SHA-256"] {
            assert!(!ledger.misses(&id(not_missed)), "{not_missed}");
        }
    }

    fn id(text: &str) -> Id {
        text.parse().unwrap()
    }
}
