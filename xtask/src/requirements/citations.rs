//! Finds in a source text which tests cite which requirements.
//!
//! Reads line by line and knows just enough Rust for it: comments and attributes that stand right
//! above a function belong to it; it is a test if one of the attributes ends in `test`, or if it stands
//! in a macro that makes tests of functions (`on_each_database! { … }`: all of these begin with `on_`),
//! and it counts unless it is ignored. `inv_6_…` cites `INV-6`; `inv_6_first_accept_…` cites it too,
//! and its part is cited by a comment, `/// INV-6.first-accept`. So no name needs to be guessed apart.

use std::mem;

use super::Id;

/// One test that answers for one requirement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Citation {
    pub(crate) test: String,
    pub(crate) id: Id,
    /// From one.
    pub(crate) line: usize,
}

/// All citations of a source file, in its order.
pub(crate) fn citations(source: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    let mut above = Above::default();
    let mut in_macro = false;
    for (whole_line, number) in source.lines().zip(1..) {
        let line = whole_line.trim();
        if above.takes(line) {
            continue;
        }
        let above = mem::take(&mut above);
        in_macro = begins_macro_of_tests(whole_line) || (in_macro && whole_line != "}");
        let is_made_a_test = in_macro && is_one_level_in(whole_line);
        let Some(test) = function_name(line).filter(|_| above.is_counting_test(is_made_a_test)) else {
            continue;
        };
        let mut ids = above.ids;
        if let Some(id) = id_of_name(test).filter(|id| !ids.iter().any(|cited| cited.whole() == *id)) {
            ids.push(id);
        }
        found.extend(ids.into_iter().map(|id| Citation { test: test.to_owned(), id, line: number }));
    }
    found
}

/// The lines whose comments speak of an id or a part of it, with their numbers in front.
pub(crate) fn mentions(source: &str, id: &Id) -> Vec<String> {
    let comments = source.lines().map(str::trim).zip(1..).filter(|(line, _)| line.starts_with("//"));
    comments
        .filter(|(line, _)| ids_in(line).iter().any(|found| found.concerns(id)))
        .map(|(line, number)| format!("{number} {line}"))
        .collect()
}

/// What stands above a function.
#[derive(Debug, Default)]
struct Above {
    ids: Vec<Id>,
    attributes: Vec<String>,
    /// Brackets of the last attribute that are still open.
    open: usize,
}

impl Above {
    /// Takes a line that belongs to the function below.
    fn takes(&mut self, line: &str) -> bool {
        if self.open == 0 && line.starts_with("//") {
            self.ids.extend(ids_in(line));
            return true;
        }
        if self.open == 0 && !line.starts_with("#[") {
            return false;
        }
        self.open = (self.open + line.matches('[').count()).saturating_sub(line.matches(']').count());
        self.attributes.push(line.to_owned());
        true
    }

    /// A macro may make a test of the function where no attribute says so.
    fn is_counting_test(&self, is_made_a_test: bool) -> bool {
        let mut paths =
            self.attributes.iter().filter_map(|line| line.strip_prefix("#[")).filter_map(|attribute| {
                let path = attribute.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').next()?;
                path.rsplit("::").next()
            });
        (is_made_a_test || paths.clone().any(|name| name == "test")) && !paths.any(|name| name == "ignore")
    }
}

/// `on_each_database! {` at the beginning of a line; `}` there ends it.
fn begins_macro_of_tests(whole_line: &str) -> bool {
    whole_line.starts_with("on_") && whole_line.ends_with("! {")
}

/// Further in stand the helpers of a test.
fn is_one_level_in(whole_line: &str) -> bool {
    whole_line.strip_prefix("    ").is_some_and(|rest| !rest.starts_with(' '))
}

fn function_name(line: &str) -> Option<&str> {
    let words = line.split_once("fn ").filter(|(before, _)| before.split(' ').all(is_qualifier))?.1;
    words.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

fn is_qualifier(word: &str) -> bool {
    matches!(word, "" | "pub" | "pub(crate)" | "async" | "const" | "unsafe")
}

/// `inv_6_the_second_accept_…` cites `INV-6`.
fn id_of_name(name: &str) -> Option<Id> {
    let mut words = name.split('_');
    let (family, number) = (words.next()?, words.next()?);
    format!("{}-{number}", family.to_uppercase()).parse().ok()
}

fn ids_in(comment: &str) -> Vec<Id> {
    let words = comment.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.');
    words.filter_map(|word| word.trim_matches(['.', '-']).parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_cites_by_its_name() {
        assert_eq!(
            cited("#[test]\nfn inv_6_the_second_accept_is_late() {"),
            ["inv_6_the_second_accept_is_late INV-6 2"]
        );
        assert_eq!(
            cited("    #[tokio::test(start_paused = true)]\n    async fn reg_2_rings() {"),
            ["reg_2_rings REG-2 2"]
        );
    }

    #[test]
    fn a_test_cites_by_the_comments_above_it() {
        let source = "/// Holds INV-6.first-accept, and (REL-3).\n#[test]\nfn the_loser_is_told() {";

        assert_eq!(cited(source), ["the_loser_is_told INV-6.first-accept 3", "the_loser_is_told REL-3 3"]);
    }

    #[test]
    fn a_part_in_a_comment_makes_the_name_precise() {
        let source = "/// INV-6.first-accept\n#[test]\nfn inv_6_the_loser_is_told() {";

        assert_eq!(cited(source), ["inv_6_the_loser_is_told INV-6.first-accept 3"]);
    }

    #[test]
    fn attributes_over_several_lines_do_not_part_a_test_from_its_comment() {
        let source =
            "// NAT-4\n#[test]\n#[expect(\n    clippy::panic,\n    reason = \"x\"\n)]\nfn relayed() {";

        assert_eq!(cited(source), ["relayed NAT-4 7"]);
    }

    #[test]
    fn a_function_that_a_macro_makes_a_test_of_cites() {
        let source = [
            "on_each_database! {",
            "    /// INV-6.first-accept",
            "    async fn the_loser_is_told(fixture) {",
            "        fn inv_7_helper() {}",
            "    }",
            "",
            "    #[ignore = \"slow\"]",
            "    async fn inv_8_slow(fixture) {}",
            "",
            "    async fn reg_2_rings(fixture) {}",
            "}",
            "",
            "    fn inv_9_helper() {}",
            "macro_rules! on_each_database {",
            "    fn inv_10_helper() {}",
        ];

        assert_eq!(
            cited(&source.join("\n")),
            ["the_loser_is_told INV-6.first-accept 3", "reg_2_rings REG-2 10"]
        );
    }

    #[test]
    fn what_is_no_test_or_does_not_run_cites_nothing() {
        let none = [
            "/// INV-6\nfn inv_6_helper() {",
            "#[test]\n#[ignore = \"slow\"]\nfn inv_6_slow() {",
            "// #[test]\nfn inv_6_switched_off() {",
            "/// INV-6\n\n#[test]\nfn apart() {",
            "#[cfg(test)]\nfn inv_6_helper() {",
            "#[test]\nfn invite_6_is_no_family_of_digits() {}",
        ];
        let found: Vec<_> = none.into_iter().flat_map(cited).collect();

        assert_eq!(
            found,
            ["invite_6_is_no_family_of_digits INVITE-6 2"],
            "a strange family is left to the ledger"
        );
    }

    #[test]
    fn mentions_are_lines_of_comments() {
        let source = "//! Rings (INV-1 to INV-3).\nlet id = \"INV-1\";\n    // INV-11, not the first\n";

        assert_eq!(mentions(source, &"INV-1".parse().unwrap()), ["1 //! Rings (INV-1 to INV-3)."]);
    }

    fn cited(source: &str) -> Vec<String> {
        citations(source)
            .into_iter()
            .map(|Citation { test, id, line }| format!("{test} {id} {line}"))
            .collect()
    }
}
