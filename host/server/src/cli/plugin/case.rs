//! Cases: what a project's `tests/*.json` ask, and what they expect.
//!
//! A case asks one question (`route`, `decide`, `claim`, `step`) with its `expect`, or drives an
//! `attempt` through events, each with its own, where each step gets the state that the one before
//! returned. Of records only the fields that `expect` names are compared; lists are compared whole.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use switchhook_core::policy::{
    Context, Facts, Slot,
    json::Step,
    nat,
    registration::{Event, TextMessage},
    route,
};

/// A case, and the file it stands in.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) file: PathBuf,
    pub(crate) name: String,
    pub(crate) context: Context,
    pub(crate) configuration: Value,
    pub(crate) facts: Facts,
    /// At least one.
    pub(crate) asked: Vec<Asked>,
}

/// A question, and what is expected of the answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    pub(crate) expect: Value,
}

/// A question.
#[derive(Debug)]
pub(crate) enum Ask {
    Route(route::Question),
    Decide(nat::Question),
    Claim(TextMessage),
    Step(Step),
    /// A step that gets the state of the one before.
    Next(Event),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    name: String,
    /// Fields that differ from the usual context.
    #[serde(default)]
    context: Map<String, Value>,
    #[serde(default = "nothing")]
    configuration: Value,
    #[serde(default)]
    facts: Facts,
    route: Option<route::Question>,
    decide: Option<nat::Question>,
    claim: Option<TextMessage>,
    step: Option<Step>,
    attempt: Option<Vec<Happened>>,
    /// `null` is what a claim may expect, so absent is told apart from it.
    #[serde(default, deserialize_with = "present")]
    expect: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Happened {
    event: Event,
    expect: Value,
}

/// The cases of a project, in the order of their files' names.
pub(crate) fn of_project(folder: &Path) -> Result<Vec<Case>> {
    let tests = folder.join("tests");
    let entries =
        fs::read_dir(&tests).with_context(|| format!("no cases: cannot read {}", tests.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    ensure!(!files.is_empty(), "no cases in {}", tests.display());
    files.iter().map(|file| Case::read(file)).collect()
}

impl Case {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(file, &text).with_context(|| format!("{} is no case", file.display()))
    }

    fn parse(file: &Path, text: &str) -> Result<Self> {
        let mut form: Form = serde_json::from_str(text)?;
        let asked = form.asked()?;
        let Form { name, context, configuration, facts, .. } = form;
        Ok(Self { file: file.to_owned(), name, context: usual(context)?, configuration, facts, asked })
    }
}

impl Ask {
    /// Whose question it is.
    pub(crate) const fn slot(&self) -> Slot {
        match self {
            Self::Route(_) => Slot::InviteRouter,
            Self::Decide(_) => Slot::NatPolicy,
            Self::Claim(_) | Self::Step(_) | Self::Next(_) => Slot::RegistrationMethod,
        }
    }
}

impl Form {
    fn asked(&mut self) -> Result<Vec<Asked>> {
        let single = [
            self.route.take().map(Ask::Route),
            self.decide.take().map(Ask::Decide),
            self.claim.take().map(Ask::Claim),
            self.step.take().map(Ask::Step),
        ];
        let mut single = single.into_iter().flatten();
        let asked = match (single.next(), self.attempt.take(), self.expect.take()) {
            (Some(ask), None, Some(expect)) => vec![Asked { ask, expect }],
            (None, Some(attempt), None) => attempt
                .into_iter()
                .map(|Happened { event, expect }| Asked { ask: Ask::Next(event), expect })
                .collect(),
            (Some(_), None, None) => bail!("it expects nothing: say `expect`"),
            _ => bail!("a case has one of route, decide, claim and step with its `expect`, or an attempt"),
        };
        ensure!(single.next().is_none(), "it asks two questions");
        ensure!(!asked.is_empty(), "an attempt without events");
        ensure!(
            !asked.iter().any(|asked| asked.expect == json!({})),
            "it expects nothing: `expect` is empty"
        );
        Ok(asked)
    }
}

/// The context of a case that names only some fields of it.
fn usual(named: Map<String, Value>) -> Result<Context> {
    let mut context = json!({
        "tenant": "example", "application": "example", "now": 1_800_000_000_000_u64,
        "seed": "00000000000000010000000000000002", "subject": "example",
    });
    if let Some(fields) = context.as_object_mut() {
        fields.extend(named);
    }
    serde_json::from_value(context).context("its context is not understood")
}

fn nothing() -> Value {
    json!({})
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &Value) -> Result<Case> {
        Case::parse(Path::new("case.json"), &text.to_string())
    }

    #[test]
    fn plug_3_a_case_that_could_not_fail_is_refused() {
        let claim = json!({"gateway": "g", "sender": "+15550100", "recipient": "70470", "text": "SWH"});
        let with = |expect: Value| json!({"name": "a claim", "claim": claim, "expect": expect});
        assert!(parse(&with(json!("key"))).is_ok());
        assert!(parse(&with(Value::Null)).is_ok());
        assert!(parse(&with(json!({}))).is_err());
        assert!(parse(&json!({"name": "a claim", "claim": claim})).is_err());
        assert!(parse(&json!({"name": "nothing", "expect": "key"})).is_err());
        assert!(parse(&json!({"name": "an attempt", "attempt": []})).is_err());
        assert!(parse(&json!({"name": "a word amiss", "clam": claim, "expect": "key"})).is_err());
    }

    #[test]
    fn a_context_differs_from_the_usual_one_where_a_case_says_so() {
        let attempt = json!([{"event": "deadline", "expect": {"effects": []}}]);
        let case = parse(&json!({"name": "n", "context": {"subject": "s-1"}, "attempt": attempt})).unwrap();
        assert_eq!((case.context.subject.as_str(), case.context.tenant.as_str()), ("s-1", "example"));
        assert_eq!(case.asked.len(), 1);
    }
}
