//! Which tests did not test: a test whose counterpart is missing passes, and says so.
//!
//! It prints a line `skipped: <name>: <why>`. Test runners hide what passing tests print, so the
//! lines are taken from nextest's report, or out of what `cargo test` writes with `--show-output`.

use std::collections::BTreeSet;

const MARK: &str = "skipped: ";

/// What tests said about having been skipped, each once, in a stable order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Skipped(BTreeSet<String>);

impl Skipped {
    /// Takes the lines out of a `JUnit` report.
    pub(crate) fn in_report(xml: &str) -> Self {
        // Text is escaped in it: a bare `>` ends a tag, and the first line of an output follows one.
        let texts = xml.split(['\n', '>']).filter_map(|piece| piece.split('<').next());
        Self(texts.filter_map(|text| said(&unescape(text))).collect())
    }

    /// Takes the line of a test's output, if it is one.
    pub(crate) fn line(&mut self, line: &str) {
        self.0.extend(said(line));
    }

    /// Says it in a way that nobody overlooks below a green result.
    pub(crate) fn print(&self) {
        for test in &self.0 {
            println!("SKIPPED {test}");
        }
        if !self.0.is_empty() {
            println!("{} tests could not test on this machine, see above", self.0.len());
        }
    }
}

fn said(line: &str) -> Option<String> {
    line.trim().strip_prefix(MARK).map(str::to_owned)
}

fn unescape(text: &str) -> String {
    let named = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    named.replace("&#39;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_tests_are_found_in_a_report_wherever_the_line_stands() {
        let report = "<testcase name=\"a\"><system-out>running\nskipped: relay: no &apos;coturn&apos;\nok</system-out></testcase>\n\
            <system-err>skipped: cdx: a &lt; b</system-err> <failure>it was skipped: no</failure>";

        let skipped = Skipped::in_report(report);

        assert_eq!(skipped, Skipped(["cdx: a < b", "relay: no 'coturn'"].map(String::from).into()));
    }

    #[test]
    fn only_a_line_that_begins_with_the_mark_counts() {
        let mut skipped = Skipped::default();

        skipped.line("nothing was skipped: all ran");
        skipped.line("skipped: relay: no coturn\r");

        assert_eq!(skipped, Skipped(["relay: no coturn".to_owned()].into()));
    }
}
