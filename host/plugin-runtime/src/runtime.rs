//! From bytes to a plugin that can be called, and the one way to call it.

use std::sync::Arc;

use switchhook_core::policy::{Context, Description, Facts, Refusal, Slot, nat, registration, route};
use switchhook_protocol::id::TenantId;
use wasmtime::component::{
    Component, Linker,
    types::{ComponentExtern, ComponentItem},
};

use crate::{
    artefacts::ArtefactSettings,
    bindings::v0_1,
    call::{Call, Ended, Running, imports},
    compiled::{Compiled, Digest, Guest, exports},
    engine::{Engine, EngineError, EngineSettings},
    failure::Failure,
    limits::{Budget, Deadlines, MAX_COMPONENT},
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
    /// Larger than [`MAX_COMPONENT`].
    #[error("the component has {size} bytes, more than {MAX_COMPONENT}")]
    TooLarge {
        /// In bytes.
        size: usize,
    },
    /// A core module: it was not encoded as a component.
    #[error("this is a core module, not a component; encode it with `switchhook plugin build`")]
    CoreModule,
    /// No valid component.
    #[error("not a valid component: {0}")]
    Malformed(String),
    /// It wants what the host does not offer.
    #[error("it imports {0}, which plugins of this slot are not given")]
    Import(String),
    /// It lacks what its slot asks for.
    #[error("it does not export {0}")]
    Export(&'static str),
    /// An import or export has other types than the contract says.
    #[error("it does not keep the contract: {0}")]
    Contract(String),
    /// It failed to describe itself.
    #[error("it cannot describe itself: {0}")]
    Describe(Failure),
    /// The host failed.
    #[error("the host failed: {0}")]
    Host(String),
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

    /// Makes bytes into a plugin of a slot: parsed, compared with the contract, compiled, and asked to
    /// describe itself. Compiling takes tens of milliseconds, on a thread of its own.
    pub async fn compile(&self, bytes: &[u8], slot: Slot) -> Result<Compiled, CompileError> {
        if bytes.len() > MAX_COMPONENT {
            return Err(CompileError::TooLarge { size: bytes.len() });
        }
        if bytes.starts_with(b"\0asm\x01\0\0\0") {
            return Err(CompileError::CoreModule);
        }
        let digest = Digest::of(bytes);
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
            Component::new(engine, bytes).map_err(|error| CompileError::Malformed(format!("{error:#}")))?;
        if let Some(artefacts) = &self.artefacts {
            artefacts.keep(engine, digest, &component);
        }
        Ok(component)
    }

    /// Compares imports and exports with the contract by name, then, by linking, by type.
    fn link(&self, component: &Component, slot: Slot) -> Result<Guest, CompileError> {
        let engine = &self.engine.wasm;
        let contract = component.component_type();
        let mut imports = contract.imports(engine);
        let foreign = |(name, import): &(&str, _)| !IMPORTS.contains(name) && !self.gives_nothing(import);
        if let Some((name, _)) = imports.find(foreign) {
            return Err(CompileError::Import(name.to_owned()));
        }
        let exported = |wanted: &str| match contract.get_export(engine, wanted) {
            Some(export) => matches!(export.ty, ComponentItem::ComponentFunc(_)),
            None => false,
        };
        if let Some(missing) = exports(slot).iter().find(|wanted| !exported(wanted)) {
            return Err(CompileError::Export(missing));
        }
        let linked = self.imports.instantiate_pre(component).and_then(|pre| {
            Ok(match slot {
                Slot::RegistrationMethod => Guest::Registration(v0_1::registration::Pre::new(pre)?),
                Slot::NatPolicy => Guest::Nat(v0_1::nat::Pre::new(pre)?),
                Slot::InviteRouter => Guest::Router(v0_1::router::Pre::new(pre)?),
            })
        });
        linked.map_err(|error| CompileError::Contract(format!("{error:#}")))
    }
}

impl Inner {
    /// Whether an import is of types alone, such as those of the slots that a plugin is not for.
    fn gives_nothing(&self, import: &ComponentExtern<'_>) -> bool {
        let ComponentItem::ComponentInstance(instance) = &import.ty else { return false };
        instance.exports(&self.engine.wasm).all(|(_, export)| matches!(export.ty, ComponentItem::Type(_)))
    }
}

/// Interfaces with functions that the host offers.
const IMPORTS: [&str; 3] = [
    "switchhook:types/log@0.1.0-dev",
    "switchhook:types/facts@0.1.0-dev",
    "switchhook:types/key-value@0.1.0-dev",
];

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("artefacts", &self.0.artefacts).finish_non_exhaustive()
    }
}
