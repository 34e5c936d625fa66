//! `switchhook tenant may-ring`: who may ring whom.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::to_value;
use switchhook_core::may_ring::RingRule;

use super::Named;
use crate::cli::print::{GOOD, styled};

/// Shows who may ring whom, or changes what is named. Without any entry everybody may ring everybody; with the
/// first, who is on none may ring nobody.
#[derive(Debug, Args)]
pub(crate) struct MayRing {
    #[command(flatten)]
    of: Named,
    /// Let these ring those. Each is an identifier, or the beginning of identifiers and a `*`.
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    add: Vec<String>,
    /// Take an entry off the list.
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    remove: Vec<String>,
    /// Take all entries off the list first.
    #[arg(long)]
    clear: bool,
}

impl MayRing {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let (admin, path) = (self.of.server.admin()?, self.of.path("may-ring"));
        let (known, tag): (Vec<RingRule>, _) = admin.get_tagged(&path).await?;
        let wanted = self.changed(known.clone())?;
        if wanted != known {
            admin.replace(&path, tag, &to_value(&wanted)?).await?;
        }
        self.of.form.answer(&wanted, |rules| words(rules))?;
        Ok(ExitCode::SUCCESS)
    }

    /// The list with the changes: cleared, then without what is removed, then with what is added.
    fn changed(&self, mut rules: Vec<RingRule>) -> Result<Vec<RingRule>> {
        if self.clear {
            rules.clear();
        }
        for gone in entries(&self.remove) {
            let before = rules.len();
            rules.retain(|rule| *rule != gone);
            ensure!(rules.len() < before, "{} → {} is not on the list", gone.from, gone.to);
        }
        for new in entries(&self.add) {
            if !rules.contains(&new) {
                rules.push(new);
            }
        }
        Ok(rules)
    }
}

/// What the option was given each time.
fn entries(sides: &[String]) -> impl Iterator<Item = RingRule> {
    sides.chunks_exact(2).filter_map(|sides| match sides {
        [from, to] => Some(RingRule { from: from.clone(), to: to.clone() }),
        _ => None,
    })
}

fn words(rules: &[RingRule]) -> String {
    if rules.is_empty() {
        return styled(GOOD, "everybody may ring everybody");
    }
    let line = |rule: &RingRule| format!("{} → {}", rule.from, rule.to);
    rules.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        may_ring: MayRing,
    }

    fn changed(known: &[(&str, &str)], options: &[&str]) -> Result<Vec<(String, String)>> {
        let command = Command::try_parse_from(["may-ring", "acme"].iter().chain(options))?;
        let rule = |(from, to): &(&str, &str)| RingRule { from: (*from).to_owned(), to: (*to).to_owned() };
        let rules = command.may_ring.changed(known.iter().map(rule).collect())?;
        Ok(rules.into_iter().map(|rule| (rule.from, rule.to)).collect())
    }

    #[test]
    fn entries_are_added_once_and_taken_off_and_the_rest_stays() {
        let known = [("+1555*", "*"), ("*", "desk")];
        let added = changed(&known, &["--add", "a", "b", "--add", "*", "desk", "--remove", "+1555*", "*"]);
        let expected = [("*", "desk"), ("a", "b")].map(|(from, to)| (from.to_owned(), to.to_owned()));
        assert_eq!(added.unwrap(), expected);
        assert_eq!(changed(&known, &["--clear"]).unwrap(), []);
        assert_eq!(changed(&known, &[]).unwrap().len(), 2);
        changed(&known, &["--remove", "desk", "*"]).unwrap_err();
        changed(&known, &["--add", "a"]).unwrap_err();
    }
}
