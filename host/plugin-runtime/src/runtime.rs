//! From bytes to a plugin that can be called, and the one way to call it.

use std::sync::Arc;

use switchhook_core::policy::{Context, Description, Facts, Grants, Refusal, Slot, nat, registration, route};
use switchhook_protocol::id::TenantId;
use wasmtime::component::{Component, Linker};

use crate::{
    artefacts::ArtefactSettings,
    bindings::v0_1,
    call::{Call, Ended, Running, imports},
    compiled::{Compiled, Digest, Guest},
    contract::{self, Finding, Report},
    engine::{Engine, EngineError, EngineSettings},
    failure::Failure,
    limits::{Budget, Deadlines},
};

/// What an operator can set about plugins.
#[derive(Debug, Clone, Default)]
pub struct RuntimeSettings {
    /// The engine.
    pub engine: EngineSettings,
    /// Where compiled code is kept; nowhere if absent.
    pub artefacts: Option<ArtefactSettings>,
    /// How long calls may take.
    pub deadlines: Deadlines,
}

/// Compiles plugins and runs them. Cheap to clone.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

struct Inner {
    engine: Engine,
    imports: Linker<Call>,
    artefacts: Option<ArtefactSettings>,
    deadlines: Deadlines,
}

/// Why bytes are no plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// They do not keep the contract of their slot.
    #[error("{0}")]
    Refused(Box<Report>),
    /// They keep the contract, and the engine cannot compile them.
    #[error("it does not compile: {0}")]
    Compile(String),
    /// It is compiled, and what it imports cannot be linked.
    #[error("it cannot be linked: {0}")]
    Link(String),
    /// It failed to describe itself.
    #[error("it cannot describe itself: {0}")]
    Describe(Failure),
    /// The host failed.
    #[error("the host failed: {0}")]
    Host(String),
}

/// What an upload is, and the plugin that it makes.
#[derive(Debug)]
pub struct Examined {
    /// With what became of compiling it and asking it to describe itself.
    pub report: Report,
    /// Present where the report accepts it.
    pub plugin: Option<Compiled>,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// The plugin's words.
    #[error("the plugin does not accept it: {0}")]
    Refused(String),
    /// The plugin failed to judge it.
    #[error("the plugin failed to judge it: {0}")]
    Failed(Failure),
}

/// Answers as the bindings give them.
type Answered<T> = Ended<Result<T, Refusal>>;

impl Runtime {
    /// Sets up the engine; starts a thread that ticks for deadlines.
    pub fn new(settings: RuntimeSettings) -> Result<Self, EngineError> {
        let engine = Engine::new(&settings.engine)?;
        let imports = imports(&engine.wasm).map_err(|error| EngineError::Wasm {
            instances: settings.engine.instances,
            memory_reservation: settings.engine.memory_reservation,
            why: format!("{error:#}"),
        })?;
        let RuntimeSettings { artefacts, deadlines, .. } = settings;
        Ok(Self(Arc::new(Inner { engine, imports, artefacts, deadlines })))
    }

    /// Examines an upload: compared with the contract of its slot and with its grants, compiled, and
    /// asked to describe itself.
    pub async fn examine(&self, bytes: &[u8], slot: Slot, grants: &Grants) -> Examined {
        match self.report(bytes, slot, grants.clone()).await {
            Ok(mut report) if report.accepted() => {
                let built = self.build(bytes, report.digest, slot).await;
                let plugin = built.map_err(|error| report.findings.insert(0, error.finding())).ok();
                report.description = plugin.as_ref().map(|plugin| plugin.description().clone());
                Examined { report, plugin }
            }
            Ok(report) => Examined { report, plugin: None },
            Err(error) => Examined { report: Report::failed(bytes, slot, error.finding()), plugin: None },
        }
    }

    /// Makes bytes into a plugin of a slot, as [`Self::examine`] does with all that can be granted: what
    /// calls may do is decided when they run.
    pub async fn compile(&self, bytes: &[u8], slot: Slot) -> Result<Compiled, CompileError> {
        let all = Grants { key_value_bytes: u64::MAX, ..Grants::default() };
        let report = self.report(bytes, slot, all).await?;
        if !report.accepted() {
            return Err(CompileError::Refused(Box::new(report)));
        }
        self.build(bytes, report.digest, slot).await
    }

    /// Reading a large component takes a while, on a thread of its own.
    async fn report(&self, bytes: &[u8], slot: Slot, grants: Grants) -> Result<Report, CompileError> {
        let bytes = bytes.to_vec();
        let report = tokio::task::spawn_blocking(move || contract::report(&bytes, slot, &grants)).await;
        report.map_err(|error| CompileError::Host(error.to_string()))
    }

    /// Compiles what keeps the contract. That takes tens of milliseconds, on a thread of its own.
    async fn build(&self, bytes: &[u8], digest: Digest, slot: Slot) -> Result<Compiled, CompileError> {
        let (inner, bytes) = (Arc::clone(&self.0), bytes.to_vec());
        let component = tokio::task::spawn_blocking(move || inner.component(&bytes, digest))
            .await
            .map_err(|error| CompileError::Host(error.to_string()))??;
        let guest = self.0.link(&component, slot)?;
        let description = self.describe(&guest).await.map_err(CompileError::Describe)?;
        Ok(Compiled::new(digest, description, guest))
    }

    /// Asks a plugin whether it understands a configuration.
    pub async fn validate(&self, plugin: &Compiled, configuration: &str) -> Result<(), ConfigurationError> {
        let mut running = self.look().await.map_err(ConfigurationError::Failed)?;
        let store = &mut running.store;
        let result = match plugin.guest() {
            Guest::Registration(pre) => v0_1::registration::validate(pre, store, configuration).await,
            Guest::Nat(pre) => v0_1::nat::validate(pre, store, configuration).await,
            Guest::Router(pre) => v0_1::router::validate(pre, store, configuration).await,
        };
        let judged = running.end(result.map(Ok::<_, Failure>)).outcome;
        judged.map_err(ConfigurationError::Failed)?.map_err(ConfigurationError::Refused)
    }

    async fn describe(&self, guest: &Guest) -> Result<Description, Failure> {
        let mut running = self.look().await?;
        let store = &mut running.store;
        let result = match guest {
            Guest::Registration(pre) => v0_1::registration::describe(pre, store).await,
            Guest::Nat(pre) => v0_1::nat::describe(pre, store).await,
            Guest::Router(pre) => v0_1::router::describe(pre, store).await,
        };
        running.end(result).outcome
    }

    pub(crate) async fn route(
        &self,
        pre: &v0_1::router::Pre<Call>,
        asked: (&Context, &str),
        question: &route::Question,
        facts: Arc<Facts>,
    ) -> Answered<route::Routed> {
        match self.begin(Some(&asked.0.tenant), self.0.deadlines.decision(), facts).await {
            Ok(mut running) => {
                let result = v0_1::router::route(pre, &mut running.store, asked, question).await;
                running.end(result)
            }
            Err(failure) => Ended::never(failure),
        }
    }

    pub(crate) async fn decide(
        &self,
        pre: &v0_1::nat::Pre<Call>,
        asked: (&Context, &str),
        question: &nat::Question,
        facts: Arc<Facts>,
    ) -> Answered<nat::Decided> {
        match self.begin(Some(&asked.0.tenant), self.0.deadlines.decision(), facts).await {
            Ok(mut running) => {
                let result = v0_1::nat::decide(pre, &mut running.store, asked, question).await;
                running.end(result)
            }
            Err(failure) => Ended::never(failure),
        }
    }

    pub(crate) async fn claim(
        &self,
        pre: &v0_1::registration::Pre<Call>,
        tenant: &TenantId,
        text: &registration::TextMessage,
    ) -> Ended<Option<registration::AttemptKey>> {
        match self.begin(Some(tenant), self.0.deadlines.step(), Arc::default()).await {
            Ok(mut running) => {
                let result = v0_1::registration::claim(pre, &mut running.store, text).await;
                running.end(result)
            }
            Err(failure) => Ended::never(failure),
        }
    }

    pub(crate) async fn step(
        &self,
        pre: &v0_1::registration::Pre<Call>,
        asked: (&Context, &str),
        happened: (Option<&registration::State>, &registration::Event),
        facts: Arc<Facts>,
    ) -> Answered<registration::Transition> {
        match self.begin(Some(&asked.0.tenant), self.0.deadlines.step(), facts).await {
            Ok(mut running) => {
                let result = v0_1::registration::step(pre, &mut running.store, asked, happened).await;
                running.end(result)
            }
            Err(failure) => Ended::never(failure),
        }
    }

    /// For what a plugin says of itself: nobody's call yet, and those take turns as one tenant's do.
    async fn look(&self) -> Result<Running, Failure> {
        self.begin(None, self.0.deadlines.step(), Arc::default()).await
    }

    async fn begin(
        &self,
        tenant: Option<&TenantId>,
        budget: Budget,
        facts: Arc<Facts>,
    ) -> Result<Running, Failure> {
        Running::begin(&self.0.engine, tenant.cloned(), budget, facts).await
    }
}

impl Inner {
    /// Kept code, or else compiled now.
    fn component(&self, bytes: &[u8], digest: Digest) -> Result<Component, CompileError> {
        let engine = &self.engine.wasm;
        let kept = self.artefacts.as_ref().and_then(|artefacts| artefacts.load(engine, digest));
        if let Some(component) = kept {
            return Ok(component);
        }
        let component =
            Component::new(engine, bytes).map_err(|error| CompileError::Compile(format!("{error:#}")))?;
        if let Some(artefacts) = &self.artefacts {
            artefacts.keep(engine, digest, &component);
        }
        Ok(component)
    }

    /// Gives it what it imports.
    fn link(&self, component: &Component, slot: Slot) -> Result<Guest, CompileError> {
        let linked = self.imports.instantiate_pre(component).and_then(|pre| {
            Ok(match slot {
                Slot::RegistrationMethod => Guest::Registration(v0_1::registration::Pre::new(pre)?),
                Slot::NatPolicy => Guest::Nat(v0_1::nat::Pre::new(pre)?),
                Slot::InviteRouter => Guest::Router(v0_1::router::Pre::new(pre)?),
            })
        });
        linked.map_err(|error| CompileError::Link(format!("{error:#}")))
    }
}

impl CompileError {
    /// As a line of a report.
    fn finding(&self) -> Finding {
        let at = match self {
            Self::Refused(_) | Self::Compile(_) => "bytes",
            Self::Link(_) => "imports",
            Self::Describe(_) => "export describe",
            Self::Host(_) => "host",
        };
        Finding::error(at, self.to_string())
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("artefacts", &self.0.artefacts).finish_non_exhaustive()
    }
}
