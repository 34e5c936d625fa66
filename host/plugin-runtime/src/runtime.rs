//! From bytes to a plugin that can be asked.

use std::{sync::Arc, time::Duration};

use switchhook_core::policy::{Grants, Slot};
use switchhook_protocol::id::TenantId;
use wasmtime::component::Component;

use crate::{
    artefacts::{self, ArtefactSettings},
    bindings::v0_1,
    compiled::{Answerer, Compiled, Digest, Guest},
    compiler::Compiler,
    contract::{self, Class, Finding, Report},
    engine::{EngineError, EngineSettings, Engines},
    failure::Failure,
    limits::{COMPILATION_PATIENCE, COMPILATIONS, Deadlines, WEBHOOKS},
    places::Places,
    webhook::Transport,
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
pub struct Runtime(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engines: Engines,
    memory_reservation: u64,
    artefacts: Option<ArtefactSettings>,
    compiler: Compiler,
    compiling: Places,
    pub(crate) deadlines: Deadlines,
    pub(crate) webhooks: Places,
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
        let webhooks = Places::new(WEBHOOKS, Class::Small.room().share);
        let inner =
            Inner { engines, memory_reservation, artefacts, compiler, compiling, deadlines, webhooks };
        Ok(Self(Arc::new(inner)))
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

    /// Examines a webhook: it is asked to describe itself, as a component is.
    pub async fn examine_webhook(
        &self,
        digest: Digest,
        transport: Arc<dyn Transport>,
        slot: Slot,
    ) -> Examined {
        let mut report = Report::of_webhook(digest, slot);
        match self.webhook_describes(&transport).await.outcome {
            Ok(description) => {
                report.description = Some(description.clone());
                Examined { report, plugin: Some(Compiled::webhook(digest, description, slot, transport)) }
            }
            Err(failure) => {
                report.findings.push(Finding::error("describe", failure.to_string()));
                Examined { report, plugin: None }
            }
        }
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
                    Guest::Registration(Answerer::component(class, v0_1::registration::Pre::new(pre)?))
                }
                Slot::NatPolicy => Guest::Nat(Answerer::component(class, v0_1::nat::Pre::new(pre)?)),
                Slot::InviteRouter => Guest::Router(Answerer::component(class, v0_1::router::Pre::new(pre)?)),
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
