//! One routing decision for five devices in a fresh instance: through the host, and on bare Wasmtime.
//!
//! `cargo run --release -p switchhook-plugin-runtime --example measure`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "measures"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use switchhook_built_guests::LOOPS_IN_ROUTE;
use switchhook_core::policy::{Context, Facts, route};
use switchhook_plugin_runtime::{
    ActivePlugin, Deadlines, Metrics, Runtime, RuntimeSettings, Slot, Slots,
    builtin::{self, Builtin},
};
use switchhook_protocol::time::Timestamp;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    component::{Component, HasSelf, Linker},
};

const ROUNDS: usize = 50_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let router = builtin::all()[3];
    // In turn, so that what else the machine does meets both.
    for _ in 0..3 {
        bare::measure(&router);
        host(&router).await;
    }
    burn().await;
}

/// How fast the tightest loop burns its fuel: what the numbers in `limits.rs` rest on.
async fn burn() {
    let far = Duration::from_secs(20);
    let deadlines = Deadlines { decision: far, step: far };
    let runtime = Runtime::new(RuntimeSettings { deadlines, ..RuntimeSettings::default() }).unwrap();
    let slots = Slots::new(runtime.clone(), Metrics::default());
    let plugin = runtime.compile(LOOPS_IN_ROUTE, Slot::InviteRouter).await.unwrap();
    let (context, facts) = (demo_context(), Arc::new(Facts::default()));
    let name = "loops".parse().unwrap();
    let active = ActivePlugin { name, version: 1, plugin, configuration: "{}".to_owned() };
    slots.activate(&context.tenant, active).unwrap();
    for _ in 0..5 {
        let decision = slots.route(&context, &question(), &facts).await;
        println!("burned {} fuel in {:?}", decision.fuel, decision.took);
    }
}

async fn host(router: &Builtin) {
    let runtime = Runtime::new(RuntimeSettings::default()).unwrap();
    let compiling = Instant::now();
    let plugin = runtime.compile(router.bytes, router.slot).await.unwrap();
    let compiled = compiling.elapsed();
    let slots = Slots::new(runtime, Metrics::default());
    let context = demo_context();
    let name = router.name.parse().unwrap();
    let active = ActivePlugin { name, version: 1, plugin, configuration: "{}".to_owned() };
    slots.activate(&context.tenant, active).unwrap();
    let (question, facts) = (question(), Arc::new(Facts::default()));
    let (mut times, mut fuel) = (Vec::with_capacity(ROUNDS), 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let decision = slots.route(&context, &question, &facts).await;
        times.push(start.elapsed());
        assert_eq!(decision.failure, None);
        fuel = decision.fuel;
    }
    print("through the host", times);
    println!("    fuel {fuel}, compiled in {compiled:?}, {} bytes", router.bytes.len());
}

/// The same guest and the same question on Wasmtime alone: no limits, no checks, no conversions.
#[expect(clippy::too_many_arguments, reason = "generated")]
mod bare {
    use super::{
        Builtin, Component, Config, Enabled, Engine, HasSelf, InstanceAllocationStrategy, Instant, Linker,
        PoolingAllocationConfig, ROUNDS, Store, demo_context, print, question, route,
    };

    wasmtime::component::bindgen!({
        path: ["../../wit/types", "../../wit/invite-router"],
        world: "switchhook:invite-router/invite-router",
    });

    struct Nothing;

    impl switchhook::types::types::Host for Nothing {}
    impl switchhook::types::log::Host for Nothing {
        fn write(&mut self, _: switchhook::types::log::Level, _: String) {}
    }
    impl switchhook::types::facts::Host for Nothing {
        fn devices_of(&mut self, _: String) -> u8 {
            0
        }
    }
    impl switchhook::invite_router::routing::Host for Nothing {}

    pub(super) fn measure(router: &Builtin) {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(100)
            .total_memories(100)
            .linear_memory_keep_resident(512 * 1024)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, router.bytes).unwrap();
        let mut linker = Linker::new(&engine);
        InviteRouter::add_to_linker::<_, HasSelf<Nothing>>(&mut linker, |it| it).unwrap();
        let pre = InviteRouterPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        let (context, invite, targets) = asked();
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let mut store = Store::new(&engine, Nothing);
            let guest = pre.instantiate(&mut store).unwrap();
            let answer = guest.call_route(&mut store, &context, &invite, &targets, &[], &[]);
            drop(store);
            times.push(start.elapsed());
            assert!(matches!(answer, Ok(Ok(Decision::Ring(_)))));
        }
        print("bare Wasmtime", times);
    }

    fn asked()
    -> (Context, switchhook::invite_router::routing::Invite, Vec<switchhook::invite_router::routing::Target>)
    {
        let (context, question) = (demo_context(), question());
        let context = Context {
            tenant: context.tenant.as_str().to_owned(),
            application: context.application.as_str().to_owned(),
            now: context.now.as_millis(),
            seed: context.seed,
            subject: context.subject,
            configuration: "{}".to_owned(),
        };
        let invite = switchhook::invite_router::routing::Invite {
            inviter: question.invite.inviter.reveal().to_owned(),
            invited: question.invite.invited.iter().map(|id| id.reveal().to_owned()).collect(),
            purpose: question.invite.purpose,
            inviter_region: question.invite.inviter_region,
        };
        let target = |(index, target): (u16, route::Target)| {
            let route::Target { user, kind, region, online } = target;
            switchhook::invite_router::routing::Target { index, user, kind, region, online }
        };
        (context, invite, (0..).zip(question.targets).map(target).collect())
    }
}

fn demo_context() -> Context {
    Context {
        tenant: "acme".parse().unwrap(),
        application: "phone".parse().unwrap(),
        now: Timestamp::from_millis(1_800_000_000_000),
        seed: (1, 2),
        subject: "s-1".to_owned(),
    }
}

fn question() -> route::Question {
    let target =
        route::Target { user: 0, kind: "phone".to_owned(), region: "eu-west".to_owned(), online: true };
    route::Question {
        invite: route::Invite {
            inviter: "+15550100".parse().unwrap(),
            invited: vec!["+15550101".parse().unwrap()],
            purpose: "audio".to_owned(),
            inviter_region: "eu-west".to_owned(),
        },
        targets: vec![target; 5],
        so_far: vec![],
        answers: vec![],
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what:20} median {median:?}, p99 {p99:?}");
}
