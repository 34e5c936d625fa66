//! Questions to ask, and a host that asks them.

use std::{future::Future, sync::Arc, time::Duration};

use switchhook_core::policy::{
    Context, Facts, Refusal, nat,
    registration::{Event, State, TextMessage, Transition},
    route::{self, Plan, Routed},
};
use switchhook_plugin_runtime::{
    ActivePlugin, Compiled, Deadlines, Decision, EngineSettings, Metrics, Runtime, RuntimeSettings, Slot,
    Slots,
};
use switchhook_protocol::time::Timestamp;

/// A host with one tenant.
pub(crate) struct Host {
    pub(crate) runtime: Runtime,
    pub(crate) slots: Slots,
    pub(crate) facts: Arc<Facts>,
}

impl Host {
    /// Its deadlines leave fuel the only budget, however busy the machine is.
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: RuntimeSettings) -> Self {
        let runtime = Runtime::new(settings).unwrap();
        let slots = Slots::new(runtime.clone(), Metrics::default());
        Self { runtime, slots, facts: Arc::default() }
    }

    /// A host in which one plugin is active.
    pub(crate) async fn running(bytes: &[u8], slot: Slot) -> Self {
        let host = Self::new();
        host.activate(bytes, slot, "{}").await;
        host
    }

    pub(crate) async fn activate(&self, bytes: &[u8], slot: Slot, configuration: &str) -> Compiled {
        let plugin = self.runtime.compile(bytes, slot).await.unwrap();
        self.slots.activate(&context().tenant, active(&plugin, configuration)).unwrap();
        plugin
    }

    pub(crate) async fn route(&self, devices: usize) -> Decision<Routed> {
        self.slots.route(&context(), &invite(devices), &self.facts).await
    }

    pub(crate) async fn step(
        &self,
        method: &str,
        state: Option<&State>,
        event: Event,
    ) -> Decision<Result<Transition, Refusal>> {
        let method = method.parse().unwrap();
        self.slots.step(&context(), (&method, None), (state, &event), &self.facts).await
    }
}

pub(crate) fn settings() -> RuntimeSettings {
    let far = Duration::from_secs(20);
    RuntimeSettings {
        engine: EngineSettings { instances: 4, ..EngineSettings::default() },
        deadlines: Deadlines { decision: far, step: far, webhook: far },
        ..RuntimeSettings::default()
    }
}

/// Version 1 of a plugin under its own name.
pub(crate) fn active(plugin: &Compiled, configuration: &str) -> ActivePlugin {
    ActivePlugin {
        name: plugin.description().name.parse().unwrap(),
        version: 1,
        plugin: plugin.clone(),
        configuration: configuration.to_owned(),
    }
}

/// A test that hangs has failed; the guard is generous.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("an answer within 30 seconds")
}

pub(crate) fn context() -> Context {
    Context {
        tenant: "acme".parse().unwrap(),
        application: "phone".parse().unwrap(),
        now: Timestamp::from_millis(1_800_000_000_000),
        seed: (1, 2),
        subject: "s-1".to_owned(),
    }
}

pub(crate) fn invite(devices: usize) -> route::Question {
    let target = |index| route::Target {
        user: 0,
        kind: if index % 2 == 0 { "phone" } else { "tablet" }.to_owned(),
        region: "eu-west".to_owned(),
        online: true,
    };
    route::Question {
        invite: route::Invite {
            inviter: "+15550100".parse().unwrap(),
            invited: vec!["+15550101".parse().unwrap()],
            purpose: "audio".to_owned(),
            inviter_region: "eu-west".to_owned(),
        },
        targets: (0..devices).map(target).collect(),
        so_far: vec![],
        answers: vec![],
    }
}

/// Two devices behind gateways of this kind, as CDX saw them.
pub(crate) fn parties(mapping: nat::Mapping) -> nat::Question {
    let party = |network: &str| nat::Party {
        mapping: nat::Fact::observed(mapping),
        filtering: nat::Fact::observed(nat::Filtering::Unknown),
        network: network.to_owned(),
        region: "eu-west".to_owned(),
        has_host_address: false,
        ipv6: false,
    };
    nat::Question {
        a: party("a"),
        b: party("b"),
        attempt: nat::Attempt::default(),
        history: nat::Outcomes::default(),
        answers: vec![],
    }
}

pub(crate) fn text(words: &str) -> TextMessage {
    TextMessage {
        gateway: "sandbox".parse().unwrap(),
        sender: "+15550100".parse().unwrap(),
        recipient: "7000".to_owned(),
        text: words.to_owned(),
    }
}

/// The plan of an answer.
pub(crate) fn plan(decision: &Decision<Routed>) -> &Plan {
    match &decision.outcome {
        Routed::Ring(plan) => plan,
        Routed::Ask(requests) => panic!("asked {requests:?}"),
    }
}
