//! The same guest and the same question on Wasmtime alone: no limits, no checks, no conversions.

use std::time::Instant;

use switchhook_core::policy::route::Question;
use switchhook_plugin_runtime::builtin::Builtin;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    component::{Component, HasSelf, Linker},
};

use super::DECISIONS;
use crate::{clock::now, series::Latencies};

wasmtime::component::bindgen!({
    path: ["../wit/types", "../wit/invite-router"],
    world: "switchhook:invite-router/invite-router",
});

/// What a router's imports know: nothing.
struct Nothing;

impl switchhook::types::types::Host for Nothing {}
impl switchhook::types::log::Host for Nothing {
    fn write(&mut self, _: switchhook::types::log::Level, _: String) {}
}
impl switchhook::types::facts::Host for Nothing {
    fn devices_of(&mut self, _: String) -> u8 {
        0
    }

    fn standing_of(&mut self, _: String) -> switchhook::types::facts::Standing {
        switchhook::types::facts::Standing::Unknown
    }

    fn conversion_of(&mut self, _: String) -> switchhook::types::facts::Conversion {
        switchhook::types::facts::Conversion { sent: 0, delivered: 0, proven: 0 }
    }

    fn canonical(&mut self, _: String) -> Option<String> {
        None
    }
}
impl switchhook::types::key_value::Host for Nothing {
    fn get(&mut self, _: String) -> Option<Vec<u8>> {
        None
    }

    fn keys(&mut self, _: String) -> Vec<String> {
        vec![]
    }
}
impl switchhook::invite_router::routing::Host for Nothing {}

pub(super) struct Bare {
    engine: Engine,
    pre: InviteRouterPre<Nothing>,
}

/// The question in the types of the contract.
struct Asked {
    context: Context,
    invite: Invite,
    targets: Vec<Target>,
}

impl Bare {
    pub(super) fn new(router: &Builtin) -> anyhow::Result<Self> {
        Self::compile(router).map_err(failed)
    }

    fn compile(router: &Builtin) -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(100)
            .total_memories(100)
            .linear_memory_keep_resident(512 * 1024)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, router.bytes)?;
        let mut linker = Linker::new(&engine);
        InviteRouter::add_to_linker::<_, HasSelf<Nothing>>(&mut linker, |it| it)?;
        let pre = InviteRouterPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, pre })
    }

    pub(super) fn decide(&self, question: &Question) -> anyhow::Result<Latencies> {
        let asked = Asked::new(question)?;
        let mut latencies = Latencies::with_capacity(DECISIONS);
        for _ in 0..DECISIONS {
            let started = now();
            let answer = self.ask(&asked).map_err(failed)?;
            latencies.push(started.elapsed());
            anyhow::ensure!(matches!(answer, Decision::Ring(_)), "the router answered something else");
        }
        Ok(latencies)
    }

    pub(super) fn count(&self, question: &Question, until: Instant) -> anyhow::Result<f64> {
        let asked = Asked::new(question)?;
        let mut decided = 0_u32;
        while now() < until {
            self.ask(&asked).map_err(failed)?;
            decided += 1;
        }
        Ok(f64::from(decided))
    }

    fn ask(&self, Asked { context, invite, targets }: &Asked) -> wasmtime::Result<Decision> {
        let mut store = Store::new(&self.engine, Nothing);
        let guest = self.pre.instantiate(&mut store)?;
        let answer = guest.call_route(&mut store, context, invite, targets, &[], &[])?;
        answer.map_err(|refusal| wasmtime::Error::msg(refusal.message))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

impl Asked {
    fn new(question: &Question) -> anyhow::Result<Self> {
        let context = super::context()?;
        let context = Context {
            tenant: context.tenant.as_str().to_owned(),
            application: context.application.as_str().to_owned(),
            now: context.now.as_millis(),
            seed: context.seed,
            subject: context.subject,
            configuration: "{}".to_owned(),
        };
        let invite = Invite {
            inviter: question.invite.inviter.reveal().to_owned(),
            invited: question.invite.invited.iter().map(|id| id.reveal().to_owned()).collect(),
            purpose: question.invite.purpose.clone(),
            inviter_region: question.invite.inviter_region.clone(),
        };
        let targets = (0..).zip(&question.targets).map(|(index, target)| Target {
            index,
            user: target.user,
            kind: target.kind.clone(),
            region: target.region.clone(),
            online: target.online,
        });
        Ok(Self { context, invite, targets: targets.collect() })
    }
}
