//! `switchhook plugin test`: a project's cases, in the production runtime.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use switchhook_core::policy::registration::State;
use switchhook_plugin_runtime::{Compiled, Runtime};

use super::{
    case::{self, Asked, Case},
    stage::{self, Answer, Stage},
    subject::Subject,
};
use crate::cli::print::{BAD, FAINT, Form, GOOD, styled};

/// Runs a project's cases under the limits of a real host; ends with 1 if one of them fails.
#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    subject: Subject,
    /// Only cases whose name contains this.
    #[arg(long)]
    case: Option<String>,
    /// Shows fuel, time and log lines of cases that pass, too.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Serialize)]
struct Tested {
    passed: usize,
    failed: usize,
    cases: Vec<Ran>,
}

#[derive(Debug, Serialize)]
struct Ran {
    name: String,
    file: String,
    passed: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    passed: bool,
    expected: Value,
    #[serde(flatten)]
    answer: Answer,
}

impl Test {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let found = self.subject.find()?;
        let folder = found.folder.as_deref().context("cases lie in a project: name its folder")?;
        let mut cases = case::of_project(folder)?;
        cases.retain(|case| self.case.as_ref().is_none_or(|part| case.name.contains(part.as_str())));
        ensure!(!cases.is_empty(), "no case of that name");
        let runtime = stage::runtime()?;
        let plugin = stage::compiled(&runtime, &found).await?;
        let mut ran = Vec::new();
        for case in &cases {
            ran.push(run(&runtime, &plugin, case).await.with_context(|| case.file.display().to_string())?);
        }
        let passed = ran.iter().filter(|case| case.passed).count();
        let tested = Tested { passed, failed: ran.len() - passed, cases: ran };
        self.form.answer(&tested, |tested| tested.words(self.verbose))?;
        Ok(ExitCode::from(u8::from(tested.failed > 0)))
    }
}

async fn run(runtime: &Runtime, plugin: &Compiled, case: &Case) -> Result<Ran> {
    let mut steps: Vec<Step> = Vec::new();
    let stage = Stage::set(runtime, plugin, case).await?;
    let mut state: Option<State> = None;
    for Asked { ask, expect } in &case.asked {
        ensure!(
            ask.slot() == plugin.slot(),
            "it asks a {}, and the plugin is a {}",
            ask.slot(),
            plugin.slot()
        );
        let answer = match &stage {
            Ok(stage) => stage.ask(case, ask, state.as_ref()).await?,
            Err(refused) => Answer::unasked(refused.clone()),
        };
        state = answer.outcome.get("state").and_then(|state| serde_json::from_value(state.clone()).ok());
        let passed = named(expect, &answer.outcome) == *expect;
        steps.push(Step { passed, expected: expect.clone(), answer });
        if !passed {
            break;
        }
    }
    let passed = steps.iter().all(|step| step.passed);
    Ok(Ran { name: case.name.clone(), file: case.file.display().to_string(), passed, steps })
}

/// What of an answer an expectation names.
fn named(expected: &Value, answer: &Value) -> Value {
    match (expected, answer) {
        (Value::Object(expected), Value::Object(answer)) => {
            let both = expected
                .iter()
                .filter_map(|(key, wanted)| Some((key.clone(), named(wanted, answer.get(key)?))));
            let both: serde_json::Map<_, _> = both.collect();
            // Nothing in common: the whole answer says more than nothing.
            if both.is_empty() { Value::Object(answer.clone()) } else { Value::Object(both) }
        }
        (Value::Array(expected), Value::Array(answer)) if expected.len() == answer.len() => {
            expected.iter().zip(answer).map(|(expected, answer)| named(expected, answer)).collect()
        }
        _ => answer.clone(),
    }
}

impl Tested {
    fn words(&self, verbose: bool) -> String {
        let mut lines: Vec<String> = self.cases.iter().flat_map(|case| case.lines(verbose)).collect();
        let failed = format!("{} failed", self.failed);
        let failed = if self.failed > 0 { styled(BAD, &failed) } else { failed };
        lines.push(format!("{} passed, {failed}", self.passed));
        lines.join("\n")
    }
}

impl Ran {
    fn lines(&self, verbose: bool) -> Vec<String> {
        let verdict = if self.passed { styled(GOOD, "pass") } else { styled(BAD, "FAIL") };
        let mut lines = vec![format!("{verdict} {}", self.name)];
        for (step, number) in self.steps.iter().zip(1..) {
            if !step.passed {
                lines.push(format!("     {}, answer {number}: - expected, + answered", self.file));
                lines.extend(step.difference());
            }
            if verbose || !step.passed {
                lines.extend(step.cost());
            }
        }
        lines
    }
}

impl Step {
    fn difference(&self) -> Vec<String> {
        let pretty = |value: &Value| format!("{value:#}\n");
        let expected = pretty(&self.expected);
        let answered = pretty(&named(&self.expected, &self.answer.outcome));
        let line = |change: similar::Change<&str>| {
            let line = change.value().trim_end();
            match change.tag() {
                ChangeTag::Equal => format!("       {line}"),
                ChangeTag::Delete => format!("     {}", styled(BAD, &format!("- {line}"))),
                ChangeTag::Insert => format!("     {}", styled(GOOD, &format!("+ {line}"))),
            }
        };
        TextDiff::from_lines(&expected, &answered).iter_all_changes().map(line).collect()
    }

    fn cost(&self) -> Vec<String> {
        let Answer { fuel, took_micros, log, .. } = &self.answer;
        let cost = format!("fuel {fuel}, {took_micros} µs");
        std::iter::once(&cost).chain(log).map(|line| format!("     {}", styled(FAINT, line))).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_are_not_named_are_not_compared_and_lists_are_compared_whole() {
        let answer = json!({"ring": {"waves": [{"rings": [1, 2], "starts_after_ms": 0}], "resources": []}});
        let fits = |expected: Value| named(&expected, &answer) == expected;
        assert!(fits(json!({"ring": {"waves": [{"starts_after_ms": 0}]}})));
        assert!(fits(answer.clone()));
        assert!(!fits(json!({"ring": {"waves": [{"rings": [1]}]}})));
        assert!(!fits(json!({"ring": {"waves": []}})));
        assert!(!fits(json!({"ring": {"waves": [{"starts_after_ms": 1}]}})));
        assert!(!fits(json!({"ring": {"wave": []}})));
        assert!(!fits(json!({"failure": "out-of-fuel"})));
        assert!(!fits(json!({"ring": {}})));
    }
}
