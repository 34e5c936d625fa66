//! The production runtime on an author's machine: same engine, same limits, same budget.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::{Value, json};
use switchhook_core::policy::{Grants, Refusal, json::Step, registration::State};
use switchhook_plugin_runtime::{
    ActivePlugin, Compiled, ConfigurationError, Deadlines, Decision, Examined, Failure, LogLine, Metrics,
    Runtime, RuntimeSettings, Slot, Slots,
};

use super::{
    case::{Ask, Case},
    compiled, report,
};

/// What was answered, and what it cost.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// The answer, `{"refused"}`, `{"failure"}` or `{"configuration_refused"}`.
    #[serde(rename = "answer")]
    pub(crate) outcome: Value,
    pub(crate) fuel: u64,
    pub(crate) took_micros: u64,
    pub(crate) log: Vec<String>,
}

/// A plugin in its slot, with one configuration.
pub(crate) struct Stage {
    slots: Slots,
}

/// A runtime as a host has it, with this user's folder of compiled plugins.
///
/// The budget is fuel, the same everywhere. The wall deadlines behind it are wide: how busy an author's
/// machine is says nothing about a plugin.
pub(crate) fn runtime() -> Result<Runtime> {
    let far = Duration::from_secs(5);
    let deadlines = Deadlines { decision: far, step: far, webhook: far };
    Ok(Runtime::new(RuntimeSettings {
        artefacts: compiled::kept(),
        deadlines,
        ..RuntimeSettings::default()
    })?)
}

/// Looks at a component as an upload is looked at: for a tenant that has granted nothing yet.
pub(crate) async fn examine(runtime: &Runtime, bytes: &[u8], slot: Slot) -> Result<Examined> {
    Ok(runtime.examine(None, bytes, slot, &Grants::default()).await?)
}

/// The plugin, or what a host would say against it.
pub(crate) async fn compiled(runtime: &Runtime, found: &super::subject::Found) -> Result<Compiled> {
    let Examined { report, plugin } = examine(runtime, &found.bytes, found.slot).await?;
    plugin.with_context(|| format!("a host would not take it:\n{}", report::words(&report)))
}

impl Stage {
    /// Sets the scene of a case; none if the plugin refuses its configuration, with its words.
    pub(crate) async fn set(
        runtime: &Runtime,
        plugin: &Compiled,
        case: &Case,
    ) -> Result<Result<Self, Value>> {
        let configuration = case.configuration.to_string();
        match runtime.validate(plugin, &configuration).await {
            Ok(()) => {}
            Err(ConfigurationError::Refused(words)) => {
                return Ok(Err(json!({ "configuration_refused": words })));
            }
            Err(ConfigurationError::Failed(failure)) => return Ok(Err(failed(&failure))),
        }
        let slots = Slots::new(runtime.clone(), Metrics::default());
        let name = NAME.parse().context("a name")?;
        let active = ActivePlugin { name, version: 1, plugin: plugin.clone(), configuration };
        slots.activate(&case.context.tenant, active)?;
        Ok(Ok(Self { slots }))
    }

    /// Asks; `state` is what the step before returned.
    pub(crate) async fn ask(&self, case: &Case, ask: &Ask, state: Option<&State>) -> Result<Answer> {
        let facts = Arc::new(case.facts.clone());
        Ok(match ask {
            Ask::Route(question) => of(self.slots.route(&case.context, question, &facts).await)?,
            Ask::Decide(question) => of(self.slots.nat(&case.context, question, &facts).await)?,
            Ask::Claim(text) => {
                let (how, claim) = self.slots.claim(&case.context.tenant, text).await.split();
                of(how.with(claim.map(|claim| claim.key.reveal().to_owned())))?
            }
            Ask::Step(Step { state, event }) => self.step(case, state.as_ref(), event, &facts).await?,
            Ask::Next(event) => self.step(case, state, event, &facts).await?,
        })
    }

    async fn step(
        &self,
        case: &Case,
        state: Option<&State>,
        event: &switchhook_core::policy::registration::Event,
        facts: &Arc<switchhook_core::policy::Facts>,
    ) -> Result<Answer> {
        let method = NAME.parse().context("a name")?;
        let (how, stepped) =
            self.slots.step(&case.context, (&method, None), (state, event), facts).await.split();
        Ok(match stepped {
            Ok(transition) => of(how.with(transition))?,
            Err(refusal) => of(how.with(Refused { refused: refusal }))?,
        })
    }
}

/// The name under which a plugin is asked here.
const NAME: &str = "under-test";

#[derive(Serialize)]
struct Refused {
    refused: Refusal,
}

fn of<T: Serialize>(decision: Decision<T>) -> Result<Answer> {
    let (how, answer) = decision.split();
    let outcome = match &how.failure {
        None => serde_json::to_value(answer)?,
        Some(Failure::Refused(refusal)) => json!({ "refused": refusal }),
        Some(Failure::Missing) => bail!("nobody was asked"),
        Some(failure) => failed(failure),
    };
    let line = |line: &LogLine| format!("{}: {}", line.level.as_str(), line.text);
    Ok(Answer {
        outcome,
        fuel: how.fuel,
        took_micros: u64::try_from(how.took.as_micros()).unwrap_or(u64::MAX),
        log: how.log.iter().map(line).collect(),
    })
}

fn failed(failure: &Failure) -> Value {
    json!({ "failure": failure.label(), "says": failure.to_string() })
}

impl Answer {
    /// Nobody was asked: the plugin had already said no.
    pub(crate) const fn unasked(outcome: Value) -> Self {
        Self { outcome, fuel: 0, took_micros: 0, log: vec![] }
    }
}
