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
    compiled::{Answerer, Compiled, Digest, Guest},
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
    /// Versions of methods that only attempts ask which began with them.
    draining: BTreeMap<(MethodName, u32), Arc<Active<v0_1::registration::Pre<Call>>>>,
}

struct Active<P> {
    by: By,
    configuration: String,
    text_prefixes: Vec<String>,
    guest: Answerer<P>,
}

impl Slots {
    /// Nobody has a plugin.
    pub fn new(runtime: Runtime, metrics: Metrics) -> Self {
        Self { runtime, metrics, tenants: RwLock::default() }
    }

    /// Makes a plugin the one that is asked from now on, in its slot; a method, under its name. The
    /// former version of a method stays for the attempts that began with it.
    pub fn activate(&self, tenant: &TenantId, plugin: ActivePlugin) -> Result<(), ActivateError> {
        self.change(tenant, |tenant| tenant.put(plugin))
    }

    /// Whether a method could be made active beside the others.
    pub fn could_activate(&self, tenant: &TenantId, plugin: &ActivePlugin) -> Result<(), ActivateError> {
        let prefixes = &plugin.plugin.description().text_prefixes;
        let refuse = |tenant: Arc<Tenant>| tenant.refuse_overlap(&plugin.name, prefixes);
        self.tenant(tenant).map_or(Ok(()), refuse)
    }

    /// Replaces all that a tenant has: what is asked, and what only attempts ask that began with it. Answers which
    /// of the active ones stand in another's way.
    pub fn replace(
        &self,
        tenant: &TenantId,
        active: Vec<ActivePlugin>,
        draining: Vec<ActivePlugin>,
    ) -> Vec<ActivateError> {
        self.change(tenant, |tenant| {
            *tenant = Tenant::default();
            let refused = active.into_iter().filter_map(|plugin| tenant.put(plugin).err()).collect();
            for plugin in draining {
                tenant.keep(plugin);
            }
            refused
        })
    }

    /// Leaves a method to the attempts that began with it, if this version is the active one.
    pub fn retire(&self, tenant: &TenantId, name: &MethodName, version: u32) {
        self.change(tenant, |tenant| tenant.retire(name, version));
    }

    /// Takes a version out, active or draining: who asks for it gets the declared default.
    pub fn forget(&self, tenant: &TenantId, slot: Slot, name: &MethodName, version: u32) {
        self.change(tenant, |tenant| tenant.forget(slot, name, version));
    }

    /// One swap: calls under way go on with what they found.
    fn change<R>(&self, tenant: &TenantId, change: impl FnOnce(&mut Tenant) -> R) -> R {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = tenants.get(tenant).map_or_else(Tenant::default, |found| (**found).clone());
        let result = change(&mut changed);
        tenants.insert(tenant.clone(), Arc::new(changed));
        drop(tenants);
        result
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
            return self.unasked(Slot::InviteRouter, default(), Failure::Missing);
        };
        let asked = (context, &*plugin.configuration);
        let ended = self.runtime.route(&plugin.guest, asked, question, Arc::clone(facts)).await;
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
            return self.unasked(Slot::NatPolicy, default(), Failure::Missing);
        };
        let asked = (context, &*plugin.configuration);
        let ended = self.runtime.decide(&plugin.guest, asked, question, Arc::clone(facts)).await;
        self.decision(Slot::NatPolicy, &plugin.by, ended.answered(), default)
    }

    /// Which attempt of which method a text begins or continues; by default none.
    pub async fn claim(&self, tenant: &TenantId, text: &TextMessage) -> Decision<Option<Claim>> {
        let Some(plugin) = self.tenant(tenant).and_then(|tenant| tenant.claimant(&text.text)) else {
            return Decision::unasked(None, None);
        };
        let ended = self.runtime.claim(&plugin.guest, tenant, text).await;
        let claim = |key| Claim { method: plugin.by.name.clone(), key };
        let ended = ended.map(|key| key.map(claim));
        self.decision(Slot::RegistrationMethod, &plugin.by, ended, || None)
    }

    /// What follows an event of an attempt. An attempt asks the version that it began with, if it has
    /// one. A refusal is an answer; by default it is refused as
    /// [`unavailable`](registration::unavailable).
    pub async fn step(
        &self,
        context: &Context,
        (method, pinned): (&MethodName, Option<u32>),
        happened: (Option<&State>, &Event),
        facts: &Arc<Facts>,
    ) -> Decision<Result<Transition, Refusal>> {
        let default = || Err(registration::unavailable());
        let found = self.tenant(&context.tenant).and_then(|tenant| tenant.method(method, pinned));
        let Some(plugin) = found else {
            let failure = if pinned.is_some() { Failure::Killed } else { Failure::Missing };
            return self.unasked(Slot::RegistrationMethod, default(), failure);
        };
        let asked = (context, &*plugin.configuration);
        let ended = self.runtime.step(&plugin.guest, asked, happened, Arc::clone(facts)).await;
        self.decision(Slot::RegistrationMethod, &plugin.by, ended, default)
    }

    fn tenant(&self, tenant: &TenantId) -> Option<Arc<Tenant>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    fn unasked<T>(&self, slot: Slot, default: T, failure: Failure) -> Decision<T> {
        self.metrics.count(slot, failure.label(), Duration::ZERO, 0);
        Decision::unasked(default, Some(failure))
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
            Guest::Router(guest) => {
                self.router = Some(Arc::new(Active { by, configuration, text_prefixes, guest }));
            }
            Guest::Nat(guest) => {
                self.nat = Some(Arc::new(Active { by, configuration, text_prefixes, guest }));
            }
            Guest::Registration(guest) => {
                self.refuse_overlap(&name, &text_prefixes)?;
                self.draining.remove(&(name.clone(), version));
                let active = Arc::new(Active { by, configuration, text_prefixes, guest });
                if let Some(former) = self.methods.insert(name.clone(), active)
                    && former.by.version != version
                {
                    self.draining.insert((name, former.by.version), former);
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, plugin: ActivePlugin) {
        let ActivePlugin { name, version, plugin, configuration } = plugin;
        let by = By { name: name.clone(), version, digest: plugin.digest() };
        if let Guest::Registration(guest) = plugin.guest().clone() {
            let kept = Active { by, configuration, text_prefixes: vec![], guest };
            self.draining.insert((name, version), Arc::new(kept));
        }
    }

    fn retire(&mut self, name: &MethodName, version: u32) {
        if self.methods.get(name).is_some_and(|active| active.by.version == version)
            && let Some(retired) = self.methods.remove(name)
        {
            self.draining.insert((name.clone(), version), retired);
        }
    }

    fn forget(&mut self, slot: Slot, name: &MethodName, version: u32) {
        let is = |by: &By| by.name == *name && by.version == version;
        match slot {
            Slot::InviteRouter => drop(self.router.take_if(|active| is(&active.by))),
            Slot::NatPolicy => drop(self.nat.take_if(|active| is(&active.by))),
            Slot::RegistrationMethod => {
                self.draining.remove(&(name.clone(), version));
                self.methods.retain(|_, active| !is(&active.by));
            }
        }
    }

    /// The active version of a method, or the one that an attempt began with.
    fn method(
        &self,
        name: &MethodName,
        pinned: Option<u32>,
    ) -> Option<Arc<Active<v0_1::registration::Pre<Call>>>> {
        let active = self.methods.get(name);
        let Some(pinned) = pinned else { return active.cloned() };
        let active = active.filter(|active| active.by.version == pinned);
        active.or_else(|| self.draining.get(&(name.clone(), pinned))).cloned()
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
    pub(crate) fn map<U>(self, into: impl FnOnce(T) -> U) -> Ended<U> {
        let Self { outcome, took, fuel, log } = self;
        Ended { outcome: outcome.map(into), took, fuel, log }
    }
}

impl<T> Ended<Result<T, Refusal>> {
    /// In slots where only an answer helps, a refusal is a failure.
    pub(crate) fn answered(self) -> Ended<T> {
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
