//! Which plugin each tenant has active in which slot, and what they answer.
//!
//! Activation is one swap: a call uses the version that it found when it began. Each answer comes as
//! a [`Decision`], which says who decided and what it cost, and in which the declared default stands
//! where the plugin failed (PLUG-4).

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use switchhook_core::policy::{
    Context, Facts, Refusal, Slot,
    nat::{self, Decided, Verdict},
    registration::{self, Claim, Event, State, TextMessage, Transition},
    route::{self, Plan, Routed},
};
use switchhook_protocol::id::{MethodName, TenantId};

use crate::{
    bindings::v0_1,
    call::{Call, Ended, LogLine},
    compiled::{Compiled, Digest, Guest},
    failure::Failure,
    metrics::Metrics,
    runtime::Runtime,
};

/// The active plugins of all tenants.
#[derive(Debug)]
pub struct Slots {
    runtime: Runtime,
    metrics: Metrics,
    tenants: RwLock<BTreeMap<TenantId, Arc<Tenant>>>,
}

/// A version of a plugin, ready to be made active.
#[derive(Debug, Clone)]
pub struct ActivePlugin {
    /// Its name within the tenant; for a registration method the method's name.
    pub name: MethodName,
    /// The tenant's own count of uploads.
    pub version: u32,
    /// The plugin.
    pub plugin: Compiled,
    /// What [`Runtime::validate`] accepted.
    pub configuration: String,
}

/// Why a plugin cannot be made active.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActivateError {
    /// Two methods would claim the same texts.
    #[error("it claims texts that begin with {prefix:?}, and so does {other}")]
    Overlap {
        /// What both claim.
        prefix: String,
        /// The other method.
        other: MethodName,
    },
}

/// An answer that counts, and how it came about.
#[derive(Debug, Clone)]
pub struct Decision<T> {
    /// The plugin's answer, or the slot's declared default.
    pub outcome: T,
    /// Why the default counts.
    pub failure: Option<Failure>,
    /// Who was asked; none where no plugin is active.
    pub by: Option<By>,
    /// How long it took, waiting for an instance included.
    pub took: Duration,
    /// What it cost.
    pub fuel: u64,
    /// What the plugin wrote for its tenant.
    pub log: Vec<LogLine>,
}

/// A plugin that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Its name within the tenant.
    pub name: MethodName,
    /// The tenant's own count of uploads.
    pub version: u32,
    /// Which component.
    pub digest: Digest,
}

#[derive(Debug, Clone, Default)]
struct Tenant {
    router: Option<Arc<Active<v0_1::router::Pre<Call>>>>,
    nat: Option<Arc<Active<v0_1::nat::Pre<Call>>>>,
    methods: BTreeMap<MethodName, Arc<Active<v0_1::registration::Pre<Call>>>>,
}

struct Active<P> {
    by: By,
    configuration: String,
    text_prefixes: Vec<String>,
    pre: P,
}

impl Slots {
    /// Nobody has a plugin.
    pub fn new(runtime: Runtime, metrics: Metrics) -> Self {
        Self { runtime, metrics, tenants: RwLock::default() }
    }

    /// Makes a plugin the one that is asked from now on, in its slot; a method, under its name.
    pub fn activate(&self, tenant: &TenantId, plugin: ActivePlugin) -> Result<(), ActivateError> {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = tenants.get(tenant).map_or_else(Tenant::default, |found| (**found).clone());
        changed.put(plugin)?;
        tenants.insert(tenant.clone(), Arc::new(changed));
        drop(tenants);
        Ok(())
    }

    /// Which router or NAT policy is active.
    pub fn active(&self, tenant: &TenantId, slot: Slot) -> Option<By> {
        let tenant = self.tenant(tenant)?;
        match slot {
            Slot::InviteRouter => tenant.router.as_ref().map(|active| active.by.clone()),
            Slot::NatPolicy => tenant.nat.as_ref().map(|active| active.by.clone()),
            Slot::RegistrationMethod => None,
        }
    }

    /// Whom an invite rings; by default every device at once.
    pub async fn route(
        &self,
        context: &Context,
        question: &route::Question,
        facts: &Arc<Facts>,
    ) -> Decision<Routed> {
        let default = || Routed::Ring(Plan::ring_all(&question.targets));
        let Some(plugin) = self.tenant(&context.tenant).and_then(|tenant| tenant.router.clone()) else {
            return self.missing(Slot::InviteRouter, default());
        };
        let asked = (context, &*plugin.configuration);
        let ended = self.runtime.route(&plugin.pre, asked, question, Arc::clone(facts)).await;
        self.decision(Slot::InviteRouter, &plugin.by, ended.answered(), default)
    }

    /// Direct or relay; by default relay.
    pub async fn nat(
        &self,
        context: &Context,
        question: &nat::Question,
        facts: &Arc<Facts>,
    ) -> Decision<Decided> {
        let default = || Decided::Verdict(Verdict::DEFAULT);
        let Some(plugin) = self.tenant(&context.tenant).and_then(|tenant| tenant.nat.clone()) else {
            return self.missing(Slot::NatPolicy, default());
        };
        let asked = (context, &*plugin.configuration);
        let ended = self.runtime.decide(&plugin.pre, asked, question, Arc::clone(facts)).await;
        self.decision(Slot::NatPolicy, &plugin.by, ended.answered(), default)
    }

    /// Which attempt of which method a text begins or continues; by default none.
    pub async fn claim(&self, tenant: &TenantId, text: &TextMessage) -> Decision<Option<Claim>> {
        let Some(plugin) = self.tenant(tenant).and_then(|tenant| tenant.claimant(&text.text)) else {
            return Decision::unasked(None, None);
        };
        let ended = self.runtime.claim(&plugin.pre, text).await;
        let claim = |key| Claim { method: plugin.by.name.clone(), key };
        let ended = ended.map(|key| key.map(claim));
        self.decision(Slot::RegistrationMethod, &plugin.by, ended, || None)
    }

    /// What follows an event of an attempt. A refusal is an answer; by default it is refused as
    /// [`unavailable`](registration::unavailable).
    pub async fn step(
        &self,
        context: &Context,
        method: &MethodName,
        happened: (Option<&State>, &Event),
        facts: &Arc<Facts>,
    ) -> Decision<Result<Transition, Refusal>> {
        let default = || Err(registration::unavailable());
        let found = self.tenant(&context.tenant).and_then(|tenant| tenant.methods.get(method).cloned());
        let Some(plugin) = found else {
            return self.missing(Slot::RegistrationMethod, default());
        };
        let asked = (context, &*plugin.configuration);
        let ended = self.runtime.step(&plugin.pre, asked, happened, Arc::clone(facts)).await;
        self.decision(Slot::RegistrationMethod, &plugin.by, ended, default)
    }

    fn tenant(&self, tenant: &TenantId) -> Option<Arc<Tenant>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    fn missing<T>(&self, slot: Slot, default: T) -> Decision<T> {
        self.metrics.count(slot, Failure::Missing.label(), Duration::ZERO, 0);
        Decision::unasked(default, Some(Failure::Missing))
    }

    fn decision<T>(&self, slot: Slot, by: &By, ended: Ended<T>, default: impl FnOnce() -> T) -> Decision<T> {
        let Ended { outcome, took, fuel, log } = ended;
        let label = outcome.as_ref().map_or_else(Failure::label, |_| "answered");
        self.metrics.count(slot, label, took, fuel);
        let by = Some(by.clone());
        match outcome {
            Ok(outcome) => Decision { outcome, failure: None, by, took, fuel, log },
            Err(failure) => Decision { outcome: default(), failure: Some(failure), by, took, fuel, log },
        }
    }
}

impl Tenant {
    fn put(&mut self, plugin: ActivePlugin) -> Result<(), ActivateError> {
        let ActivePlugin { name, version, plugin, configuration } = plugin;
        let by = By { name: name.clone(), version, digest: plugin.digest() };
        let text_prefixes = plugin.description().text_prefixes.clone();
        match plugin.guest().clone() {
            Guest::Router(pre) => {
                self.router = Some(Arc::new(Active { by, configuration, text_prefixes, pre }));
            }
            Guest::Nat(pre) => {
                self.nat = Some(Arc::new(Active { by, configuration, text_prefixes, pre }));
            }
            Guest::Registration(pre) => {
                self.refuse_overlap(&name, &text_prefixes)?;
                self.methods.insert(name, Arc::new(Active { by, configuration, text_prefixes, pre }));
            }
        }
        Ok(())
    }

    fn refuse_overlap(&self, name: &MethodName, prefixes: &[String]) -> Result<(), ActivateError> {
        let others = self.methods.iter().filter(|(other, _)| *other != name);
        for (other, active) in others {
            let overlaps = |mine: &&String| {
                active
                    .text_prefixes
                    .iter()
                    .any(|theirs| mine.starts_with(theirs.as_str()) || theirs.starts_with(mine.as_str()))
            };
            if let Some(prefix) = prefixes.iter().find(overlaps) {
                return Err(ActivateError::Overlap { prefix: prefix.clone(), other: other.clone() });
            }
        }
        Ok(())
    }

    /// The one method whose prefixes fit; activation keeps them apart.
    fn claimant(&self, text: &str) -> Option<Arc<Active<v0_1::registration::Pre<Call>>>> {
        let claims = |active: &&Arc<Active<_>>| {
            active.text_prefixes.iter().any(|prefix| text.starts_with(prefix.as_str()))
        };
        self.methods.values().find(claims).cloned()
    }
}

impl<T> Decision<T> {
    /// What was answered, apart from how it came about.
    pub fn split(self) -> (Decision<()>, T) {
        let Self { outcome, failure, by, took, fuel, log } = self;
        (Decision { outcome: (), failure, by, took, fuel, log }, outcome)
    }

    /// The same with another answer.
    pub fn with<U>(self, outcome: U) -> Decision<U> {
        let Self { failure, by, took, fuel, log, .. } = self;
        Decision { outcome, failure, by, took, fuel, log }
    }

    const fn unasked(outcome: T, failure: Option<Failure>) -> Self {
        Self { outcome, failure, by: None, took: Duration::ZERO, fuel: 0, log: vec![] }
    }
}

impl<T> Ended<T> {
    fn map<U>(self, into: impl FnOnce(T) -> U) -> Ended<U> {
        let Self { outcome, took, fuel, log } = self;
        Ended { outcome: outcome.map(into), took, fuel, log }
    }
}

impl<T> Ended<Result<T, Refusal>> {
    /// In slots where only an answer helps, a refusal is a failure.
    fn answered(self) -> Ended<T> {
        let Self { outcome, took, fuel, log } = self;
        let outcome = outcome.and_then(|answer| answer.map_err(Failure::Refused));
        Ended { outcome, took, fuel, log }
    }
}

impl<P> std::fmt::Debug for Active<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Active({:?})", self.by)
    }
}
