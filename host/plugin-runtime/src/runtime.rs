//! From bytes to a plugin that can be called, and the one way to call it.

use std::{sync::Arc, time::Duration};

use switchhook_core::policy::{Context, Description, Facts, Grants, Refusal, Slot, nat, registration, route};
use switchhook_protocol::id::TenantId;
use wasmtime::component::Component;

use crate::{
    artefacts::{self, ArtefactSettings},
    bindings::v0_1,
    call::{Call, Ended, Running},
    compiled::{Compiled, Digest, Guest, Linked},
    compiler::Compiler,
    contract::{self, Class, Finding, Report},
    engine::{Engine, EngineError, EngineSettings, Engines},
    failure::Failure,
    limits::{COMPILATION_PATIENCE, COMPILATIONS, Deadlines, Purpose},
    places::Places,
};

/// What an operator can set about plugins.
#[derive(Debug, Clone, Default)]
pub struct RuntimeSettings {
    /// The engine.
    pub engine: EngineSettings,
    /// Where compiled code is kept; nowhere if absent.
    pub artefacts: Option<ArtefactSettings>,
    /// Where uploads are compiled.
    pub compiler: Compiler,
    /// How long calls may take.
    pub deadlines: Deadlines,
}

/// Compiles plugins and runs them. Cheap to clone.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

struct Inner {
    engines: Engines,
    memory_reservation: u64,
    artefacts: Option<ArtefactSettings>,
    compiler: Compiler,
    compiling: Places,
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
    /// The compiler did not end in so much time.
    #[error("it takes longer than {} s to compile", .0.as_secs())]
    CompileTime(Duration),
    /// The compiler wanted more than so many bytes.
    #[error("it takes more than {0} bytes of memory to compile")]
    CompileMemory(u64),
    /// It is compiled, and what it imports cannot be linked.
    #[error("it cannot be linked: {0}")]
    Link(String),
    /// It failed to describe itself.
    #[error("it cannot describe itself: {0}")]
    Describe(Failure),
    /// Nothing is known of it.
    #[error(transparent)]
    Host(#[from] NotExamined),
}

/// Why the host does not know whether bytes are a plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotExamined {
    /// Others were compiled all the time that it waited.
    #[error("the host compiles other uploads; try again in a minute")]
    Busy,
    /// The host failed.
    #[error("the host failed: {0}")]
    Failed(String),
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
    /// Sets up the engines; starts threads that tick for deadlines.
    pub fn new(settings: RuntimeSettings) -> Result<Self, EngineError> {
        let RuntimeSettings { engine, artefacts, compiler, deadlines } = settings;
        let engines = Engines::new(&engine)?;
        if let Some(artefacts) = &artefacts {
            artefacts.sweep(&engines.of(Class::Small).wasm);
        }
        let compiling = Places::new(COMPILATIONS, Class::Small.room().share);
        let memory_reservation = engine.memory_reservation;
        Ok(Self(Arc::new(Inner { engines, memory_reservation, artefacts, compiler, compiling, deadlines })))
    }

    /// Examines a tenant's upload: compared with the contract of its slot and with its grants, compiled, and
    /// asked to describe itself.
    pub async fn examine(
        &self,
        tenant: Option<&TenantId>,
        bytes: &[u8],
        slot: Slot,
        grants: &Grants,
    ) -> Result<Examined, NotExamined> {
        let bytes: Arc<[u8]> = bytes.into();
        let mut report = self.report(&bytes, slot, grants.clone()).await?;
        if !report.accepted() {
            return Ok(Examined { report, plugin: None });
        }
        let plugin = match self.build(tenant, &bytes, &report).await {
            Ok(plugin) => Some(plugin),
            Err(CompileError::Host(failed)) => return Err(failed),
            Err(refused) => {
                report.findings.insert(0, refused.finding());
                None
            }
        };
        report.description = plugin.as_ref().map(|plugin| plugin.description().clone());
        Ok(Examined { report, plugin })
    }

    /// Makes bytes into a plugin of a slot, as [`Self::examine`] does with all that can be granted: what
    /// calls may do is decided when they run.
    pub async fn compile(&self, bytes: &[u8], slot: Slot) -> Result<Compiled, CompileError> {
        let all = Grants { key_value_bytes: u64::MAX, ..Grants::default() };
        let bytes: Arc<[u8]> = bytes.into();
        let report = self.report(&bytes, slot, all).await?;
        if !report.accepted() {
            return Err(CompileError::Refused(Box::new(report)));
        }
        self.build(None, &bytes, &report).await
    }

    /// Reading a large component takes a while, on a thread of its own.
    async fn report(&self, bytes: &Arc<[u8]>, slot: Slot, grants: Grants) -> Result<Report, NotExamined> {
        let bytes = Arc::clone(bytes);
        elsewhere(move || contract::report(&bytes, slot, &grants)).await
    }

    /// Compiles what keeps the contract, and asks it to describe itself.
    async fn build(
        &self,
        tenant: Option<&TenantId>,
        bytes: &Arc<[u8]>,
        report: &Report,
    ) -> Result<Compiled, CompileError> {
        let &Report { digest, class, slot, .. } = report;
        let component = match self.kept(digest, class).await? {
            Some(component) => component,
            None => self.component(tenant, bytes, (digest, class)).await?,
        };
        let guest = self.0.link(&component, class, slot)?;
        let description = self.describe(&guest).await.map_err(CompileError::Describe)?;
        Ok(Compiled::new(digest, description, guest))
    }

    async fn kept(&self, digest: Digest, class: Class) -> Result<Option<Component>, NotExamined> {
        let inner = Arc::clone(&self.0);
        let load = move |artefacts: &ArtefactSettings| artefacts.load(&inner.engines.of(class).wasm, digest);
        let Some(artefacts) = self.0.artefacts.clone() else { return Ok(None) };
        elsewhere(move || load(&artefacts)).await
    }

    /// Compiled now, when it is this tenant's turn.
    async fn component(
        &self,
        tenant: Option<&TenantId>,
        bytes: &Arc<[u8]>,
        (digest, class): (Digest, Class),
    ) -> Result<Component, CompileError> {
        let place = self.0.compiling.place(tenant.cloned(), COMPILATION_PATIENCE).await;
        let place = place.or(Err(NotExamined::Busy))?;
        let code = self.0.compiler.compile(bytes, class, self.0.memory_reservation).await?;
        drop(place);
        let inner = Arc::clone(&self.0);
        elsewhere(move || inner.keep(digest, class, &code)).await?
    }

    /// Asks a plugin whether it understands a configuration.
    pub async fn validate(&self, plugin: &Compiled, configuration: &str) -> Result<(), ConfigurationError> {
        let (engine, running) = self.look(plugin.class()).await;
        let mut running = running.map_err(ConfigurationError::Failed)?;
        let store = &mut running.store;
        let result = match plugin.guest() {
            Guest::Registration(guest) => {
                engine.run(v0_1::registration::validate(&guest.pre, store, configuration)).await
            }
            Guest::Nat(guest) => engine.run(v0_1::nat::validate(&guest.pre, store, configuration)).await,
            Guest::Router(guest) => {
                engine.run(v0_1::router::validate(&guest.pre, store, configuration)).await
            }
        };
        let judged = running.end(result.map(Ok::<_, Failure>)).outcome;
        judged.map_err(ConfigurationError::Failed)?.map_err(ConfigurationError::Refused)
    }

    async fn describe(&self, guest: &Guest) -> Result<Description, Failure> {
        let (engine, running) = self.look(guest.class()).await;
        let mut running = running?;
        let store = &mut running.store;
        let result = match guest {
            Guest::Registration(guest) => engine.run(v0_1::registration::describe(&guest.pre, store)).await,
            Guest::Nat(guest) => engine.run(v0_1::nat::describe(&guest.pre, store)).await,
            Guest::Router(guest) => engine.run(v0_1::router::describe(&guest.pre, store)).await,
        };
        running.end(result).outcome
    }

    pub(crate) async fn route(
        &self,
        guest: &Linked<v0_1::router::Pre<Call>>,
        asked: (&Context, &str),
        question: &route::Question,
        facts: Arc<Facts>,
    ) -> Answered<route::Routed> {
        let whose = (guest.class, Some(&asked.0.tenant));
        match self.begin(whose, Purpose::Decision, facts).await {
            (engine, Ok(mut running)) => {
                let call = v0_1::router::route(&guest.pre, &mut running.store, asked, question);
                let result = engine.run(call).await;
                running.end(result)
            }
            (_, Err(failure)) => Ended::never(failure),
        }
    }

    pub(crate) async fn decide(
        &self,
        guest: &Linked<v0_1::nat::Pre<Call>>,
        asked: (&Context, &str),
        question: &nat::Question,
        facts: Arc<Facts>,
    ) -> Answered<nat::Decided> {
        let whose = (guest.class, Some(&asked.0.tenant));
        match self.begin(whose, Purpose::Decision, facts).await {
            (engine, Ok(mut running)) => {
                let call = v0_1::nat::decide(&guest.pre, &mut running.store, asked, question);
                let result = engine.run(call).await;
                running.end(result)
            }
            (_, Err(failure)) => Ended::never(failure),
        }
    }

    pub(crate) async fn claim(
        &self,
        guest: &Linked<v0_1::registration::Pre<Call>>,
        tenant: &TenantId,
        text: &registration::TextMessage,
    ) -> Ended<Option<registration::AttemptKey>> {
        match self.begin((guest.class, Some(tenant)), Purpose::Step, Arc::default()).await {
            (engine, Ok(mut running)) => {
                let call = v0_1::registration::claim(&guest.pre, &mut running.store, text);
                let result = engine.run(call).await;
                running.end(result)
            }
            (_, Err(failure)) => Ended::never(failure),
        }
    }

    pub(crate) async fn step(
        &self,
        guest: &Linked<v0_1::registration::Pre<Call>>,
        asked: (&Context, &str),
        happened: (Option<&registration::State>, &registration::Event),
        facts: Arc<Facts>,
    ) -> Answered<registration::Transition> {
        let whose = (guest.class, Some(&asked.0.tenant));
        match self.begin(whose, Purpose::Step, facts).await {
            (engine, Ok(mut running)) => {
                let call = v0_1::registration::step(&guest.pre, &mut running.store, asked, happened);
                let result = engine.run(call).await;
                running.end(result)
            }
            (_, Err(failure)) => Ended::never(failure),
        }
    }

    /// For what a plugin says of itself: nobody's call yet, and those take turns as one tenant's do.
    async fn look(&self, class: Class) -> (&Engine, Result<Running, Failure>) {
        self.begin((class, None), Purpose::Step, Arc::default()).await
    }

    async fn begin(
        &self,
        (class, tenant): (Class, Option<&TenantId>),
        purpose: Purpose,
        facts: Arc<Facts>,
    ) -> (&Engine, Result<Running, Failure>) {
        let engine = self.0.engines.of(class);
        let budget = self.0.deadlines.budget(class, purpose);
        (engine, Running::begin(engine, tenant.cloned(), budget, facts).await)
    }
}

/// On a thread where nobody waits for what takes long.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, NotExamined> {
    tokio::task::spawn_blocking(work).await.map_err(NotExamined::failed)
}

impl Inner {
    /// Keeps fresh code for the next start. What wants more than its class has does not load.
    fn keep(&self, digest: Digest, class: Class, code: &[u8]) -> Result<Component, CompileError> {
        let engine = &self.engines.of(class).wasm;
        let component = artefacts::fresh(engine, code);
        let component = component.map_err(|error| CompileError::Compile(format!("{error:#}")))?;
        if let Some(artefacts) = &self.artefacts {
            artefacts.keep(engine, digest, code);
        }
        Ok(component)
    }

    /// Gives it what it imports.
    fn link(&self, component: &Component, class: Class, slot: Slot) -> Result<Guest, CompileError> {
        let linked = self.engines.of(class).imports.instantiate_pre(component).and_then(|pre| {
            Ok(match slot {
                Slot::RegistrationMethod => {
                    Guest::Registration(Linked { class, pre: v0_1::registration::Pre::new(pre)? })
                }
                Slot::NatPolicy => Guest::Nat(Linked { class, pre: v0_1::nat::Pre::new(pre)? }),
                Slot::InviteRouter => Guest::Router(Linked { class, pre: v0_1::router::Pre::new(pre)? }),
            })
        });
        linked.map_err(|error| CompileError::Link(format!("{error:#}")))
    }
}

impl NotExamined {
    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

impl CompileError {
    /// As a line of a report.
    fn finding(&self) -> Finding {
        let at = match self {
            Self::Refused(_) | Self::Compile(_) | Self::CompileTime(_) | Self::CompileMemory(_) => "bytes",
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
