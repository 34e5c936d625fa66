//! Asking a tenant's plugins, and keeping note of what they decided.
//!
//! A plugin that fails does not fail its flow: the slot's declared default counts (NAT: relay;
//! router: ring all; registration: refuse), and the failure is visible to the tenant in the decision's
//! record. A router or NAT policy that asks its tenant's services is asked again with the answers, in
//! bounded rounds; what a plugin may look up ([`facts`]) is loaded before it is asked.

pub(crate) mod built_in;
pub(crate) mod changes;
pub(crate) mod counts;
mod facts;
pub(crate) mod lines;
pub(crate) mod load;
mod ready;
pub(crate) mod reconcile;
mod rounds;
pub(crate) mod webhook;

use std::sync::Arc;

use rand::Rng as _;
use switchhook_core::{
    policy::{
        Context, Grants, Refusal,
        nat::{self, Decided, Verdict},
        registration::{Claim, Effect, Event, State, TextMessage, Transition},
        route::{self, Finally, Plan, Routed},
    },
    row::{Attempt, Decision as Made, brief},
};
use switchhook_plugin_runtime::{
    CompileError, Compiled, Decision, Digest, Examined, Failure, LogLine, NotExamined, Runtime, Slot, Slots,
};
use switchhook_protocol::{
    error::ErrorCode,
    id::{ApplicationId, SessionId, TenantId},
    time::Timestamp,
};
use switchhook_storage::{NamedVersion, PluginLine};
use tracing::warn;

use self::{counts::AllCounts, lines::Lines, ready::Ready, reconcile::Loaded, rounds::Rounds};
use crate::{
    app::App,
    decisions::{DecisionRecord, micros},
    flows::{Caller, FlowError},
};

/// The plugins of all tenants.
#[derive(Debug)]
pub(crate) struct Plugins {
    runtime: Runtime,
    slots: Slots,
    compiled: Ready,
    loaded: Loaded,
    pub(crate) counts: AllCounts,
    pub(crate) lines: Lines,
    /// One change at a time, so that a swap follows its commit before the next decides.
    changing: tokio::sync::Mutex<()>,
}

/// A decision as it is noted.
struct Noted<'a> {
    tenant: &'a TenantId,
    subject: String,
    slot: Slot,
    outcome: String,
}

impl Plugins {
    pub(crate) fn new(runtime: Runtime, slots: Slots) -> Self {
        Self {
            runtime,
            slots,
            compiled: Ready::default(),
            loaded: Loaded::default(),
            counts: AllCounts::default(),
            lines: Lines::default(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Makes a component ready; the same bytes are compiled once for all tenants.
    pub(crate) async fn ready(&self, bytes: &[u8], slot: Slot) -> Result<Compiled, CompileError> {
        if let Some(known) = self.compiled.of(Digest::of(bytes), slot) {
            return Ok(known);
        }
        let compiled = self.runtime.compile(bytes, slot).await?;
        self.compiled.put(compiled.clone());
        Ok(compiled)
    }

    /// Looks at all of a tenant's upload.
    pub(crate) async fn examine(
        &self,
        tenant: &TenantId,
        bytes: &[u8],
        slot: Slot,
        grants: &Grants,
    ) -> Result<Examined, NotExamined> {
        let examined = self.runtime.examine(Some(tenant), bytes, slot, grants).await?;
        if let Some(plugin) = &examined.plugin {
            self.compiled.put(plugin.clone());
        }
        Ok(examined)
    }

    /// Asks this from now on, without a row that says so.
    #[cfg(feature = "in-process")]
    pub(crate) fn activate(
        &self,
        tenant: &TenantId,
        plugin: switchhook_plugin_runtime::ActivePlugin,
    ) -> Result<(), switchhook_plugin_runtime::ActivateError> {
        self.slots.activate(tenant, plugin)
    }

    /// Takes out what nobody asks any more.
    pub(crate) fn forget(&self, drained: Vec<(TenantId, NamedVersion)>) {
        for (tenant, NamedVersion { slot, name, version }) in drained {
            if let Ok(name) = name.parse() {
                self.slots.forget(&tenant, slot, &name, version);
            }
        }
    }

    /// The turn of one change.
    async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Whom an invite rings, and in what order.
    pub(crate) async fn route(
        &self,
        app: &App,
        caller: &Caller,
        session: &SessionId,
        mut question: route::Question,
    ) -> Result<(Plan, Made), FlowError> {
        let context = context(app, &caller.tenant, &caller.device.application, session.as_str());
        let by = self.slots.active(&caller.tenant, Slot::InviteRouter);
        let mut rounds = Rounds::of(app, &context, Slot::InviteRouter, by.as_ref());
        let facts = Arc::new(facts::of_invite(app, &context, &question, &rounds.grants).await?);
        let decision = loop {
            let (decision, routed) = self.slots.route(&context, &question, &facts).await.split();
            let requests = match routed {
                Routed::Ring(plan) => break decision.with(plan),
                Routed::Ask(requests) => requests,
            };
            match rounds.ask(requests).await {
                Some(answers) => question.answers = answers,
                None => break rounds::undecided(decision, Plan::ring_all(&question.targets)),
            }
        };
        let plan = decision.outcome.clone();
        let made = note(app, &decision, Noted::about(&context, Slot::InviteRouter, rings(&plan)));
        Ok((plan, made))
    }

    /// Directly or through the relay.
    pub(crate) async fn nat(
        &self,
        app: &App,
        caller: &Caller,
        session: &SessionId,
        mut question: nat::Question,
    ) -> Result<(Verdict, Made), FlowError> {
        let context = context(app, &caller.tenant, &caller.device.application, session.as_str());
        let by = self.slots.active(&caller.tenant, Slot::NatPolicy);
        let mut rounds = Rounds::of(app, &context, Slot::NatPolicy, by.as_ref());
        let facts = Arc::new(facts::granted(app, &context, &rounds.grants).await?);
        let decision = loop {
            let (decision, decided) = self.slots.nat(&context, &question, &facts).await.split();
            let requests = match decided {
                Decided::Verdict(verdict) => break decision.with(verdict),
                Decided::Ask(requests) => requests,
            };
            match rounds.ask(requests).await {
                Some(answers) => question.answers = answers,
                None => break rounds::undecided(decision, Verdict::DEFAULT),
            }
        };
        let verdict = decision.outcome.clone();
        let outcome = match &verdict {
            Verdict::Direct => "direct".to_owned(),
            Verdict::Relay { until_accepted: false, .. } => "relay".to_owned(),
            Verdict::Relay { until_accepted: true, .. } => "relay until accepted".to_owned(),
            Verdict::DirectThenRelay { patience, guessing } => {
                let guessing = if guessing.birthday { ", ports guessed" } else { "" };
                format!("direct{guessing}, relay after {} ms", patience.as_millis())
            }
        };
        let made = note(app, &decision, Noted::about(&context, Slot::NatPolicy, outcome));
        Ok((verdict, made))
    }

    /// Which method a text is for.
    pub(crate) async fn claim(&self, app: &App, tenant: &TenantId, text: &TextMessage) -> Option<Claim> {
        let decision = self.slots.claim(tenant, text).await;
        if let Some(failure) = &decision.failure {
            app.metrics.decided(Slot::RegistrationMethod.as_str(), failure.label());
            warn!(tenant.id = %tenant, %failure, "a registration method failed to judge a text");
        }
        decision.outcome
    }

    /// The next step of an attempt, and the version of its method that decided it.
    pub(crate) async fn step(
        &self,
        app: &App,
        caller: &Caller,
        attempt: &Attempt,
        happened: (Option<&State>, &Event),
    ) -> Result<(Transition, u32), FlowError> {
        let context = context(app, &caller.tenant, &caller.device.application, attempt.id.as_str());
        let grants = app.granted.of(&caller.tenant, Slot::RegistrationMethod, &attempt.method);
        let facts = Arc::new(facts::of_event(app, &context, (attempt, happened.1), &grants).await?);
        let pinned = (attempt.plugin_version > 0).then_some(attempt.plugin_version);
        let decision = self.slots.step(&context, (&attempt.method, pinned), happened, &facts).await;
        if matches!(decision.failure, Some(Failure::Missing)) {
            return Err(ErrorCode::UnknownMethod.into());
        }
        let outcome = match &decision.outcome {
            Ok(transition) => effects(transition),
            Err(refusal) => format!("refused: {}", refusal.code),
        };
        note(app, &decision, Noted::about(&context, Slot::RegistrationMethod, outcome));
        let version = decision.by.as_ref().map_or(0, |by| by.version);
        let refused = |refusal: Refusal| FlowError::refused(ErrorCode::RegistrationRefused, &refusal.message);
        Ok((decision.outcome.map_err(refused)?, version))
    }
}

impl<'a> Noted<'a> {
    fn about(context: &'a Context, slot: Slot, outcome: String) -> Self {
        Self { tenant: &context.tenant, subject: context.subject.clone(), slot, outcome }
    }
}

/// Counts a decision and keeps note of it.
fn note<T>(app: &App, decision: &Decision<T>, noted: Noted<'_>) -> Made {
    let Noted { tenant, subject, slot, outcome } = noted;
    let label = decision.failure.as_ref().map_or("answered", Failure::label);
    app.metrics.decided(slot.as_str(), label);
    let failure = decision.failure.as_ref().map(ToString::to_string);
    if let Some(failure) = &failure {
        warn!(tenant.id = %tenant, slot = slot.as_str(), subject, failure, "a plugin failed; the declared default counts");
    }
    if let Some(by) = &decision.by {
        let plugin = (tenant, slot, by.name.as_str());
        app.plugins.counts.count(plugin, label, (decision.took, decision.fuel));
        let line = |line: &LogLine| lines_of(line, by.version, &subject, app.now());
        let mut lines: Vec<PluginLine> = decision.log.iter().map(line).collect();
        lines.extend(failure.as_ref().map(|failure| PluginLine {
            at: app.now(),
            version: by.version,
            subject: subject.clone(),
            level: "error".to_owned(),
            text: format!("the declared default counts: {failure}"),
        }));
        app.plugins.lines.write(plugin, lines);
    }
    let made = Made {
        at: app.now(),
        slot,
        plugin: decision.by.as_ref().map(|by| by.name.clone()),
        version: decision.by.as_ref().map_or(0, |by| by.version),
        outcome: brief(&outcome),
        failure: failure.as_deref().map(brief),
        micros: micros(decision.took),
    };
    app.decisions.note(DecisionRecord::about(tenant, &subject, made.clone()));
    made
}

/// A plan in a few words; the identifier masked.
fn rings(plan: &Plan) -> String {
    let rings: usize = plan.waves.iter().map(|wave| wave.rings.len()).sum();
    let finally = match &plan.finally {
        Finally::Forward(to) => format!(", then {to}"),
        Finally::GiveUp(_) | Finally::Bridge(_) => String::new(),
    };
    format!("ring {rings} in {} wave(s){finally}", plan.waves.len())
}

fn lines_of(line: &LogLine, version: u32, subject: &str, at: Timestamp) -> PluginLine {
    let level = line.level.as_str().to_owned();
    PluginLine { at, version, subject: subject.to_owned(), level, text: line.text.clone() }
}

fn context(app: &App, tenant: &TenantId, application: &ApplicationId, subject: &str) -> Context {
    let mut rng = app.rng();
    Context {
        tenant: tenant.clone(),
        application: application.clone(),
        now: app.now(),
        seed: (rng.next_u64(), rng.next_u64()),
        subject: subject.to_owned(),
    }
}

/// The effects of a step, by name.
fn effects(transition: &Transition) -> String {
    if transition.effects.is_empty() {
        return "wait".to_owned();
    }
    let names: Vec<&str> = transition.effects.iter().map(Effect::name).collect();
    names.join(", ")
}
