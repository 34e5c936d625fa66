//! Wasmtime, set up for many short calls.
//!
//! Every call has a fresh instance. What makes that cheap is the pooling allocator with memory that
//! stays resident: a slot is reset by writing over the pages that the last call touched, which the
//! kernel names by `PAGEMAP_SCAN`. Without either, each call maps and unmaps memory under a lock of
//! the whole process, and a second core makes things worse. Where the kernel lacks the scan (before
//! 6.7) the lower part of each memory is reset as a whole.
//!
//! There are two of it ([`Engines`]), one for each [`Class`]: small components run many at the same time, on the
//! thread that asks, and let go of it every so much fuel. Large ones bring the runtime of their language and run
//! few at the same time, off the threads that serve sockets, with a pool of their own.
//!
//! Fuel is the budget of a call. The epoch, ticked by a thread for all calls, is the deadline behind it.

use std::{future::Future, thread, time::Duration};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};
use wasmtime::{
    Config, Enabled, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig, component::Linker,
};

use crate::{
    call::{Call, imports},
    contract::Class,
    limits::{CALL_STACK, GUEST_STACK, RESIDENT_STACK, RESIDENT_TABLE, Room, TICK, YIELD_FUEL},
    places::Places,
};

/// What an operator can set about the engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineSettings {
    /// Calls of small components that run at the same time; others wait for their turn.
    pub instances: u32,
    /// The same of large components.
    pub large_instances: u32,
    /// Address space kept for each instance's memory. At 4 GiB and more the hardware checks a guest's
    /// accesses; where address space is scarce (`ulimit -v`), less costs guests some speed. At least 64 MiB: what a
    /// large component may have.
    pub memory_reservation: u64,
}

/// The engine of each class.
pub(crate) struct Engines {
    small: Engine,
    large: Engine,
}

/// The engine of one class.
pub(crate) struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) imports: Linker<Call>,
    pub(crate) places: Places,
    pub(crate) room: Room,
    class: Class,
}

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Wasmtime does not start with these settings on this machine; most often address space is scarce.
    #[error("cannot set up WebAssembly with {instances} instances of {memory_reservation} bytes: {why}")]
    Wasm {
        /// As set.
        instances: u32,
        /// As set.
        memory_reservation: u64,
        /// Wasmtime's words.
        why: String,
    },
    /// No thread for the deadline's clock.
    #[error("cannot start the thread that ticks for deadlines")]
    Ticker(#[source] std::io::Error),
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { instances: 100, large_instances: 4, memory_reservation: 4 << 30 }
    }
}

impl Engines {
    pub(crate) fn new(settings: &EngineSettings) -> Result<Self, EngineError> {
        let EngineSettings { instances, large_instances, memory_reservation } = *settings;
        if !PoolingAllocationConfig::is_pagemap_scan_available() {
            tracing::warn!("this kernel has no PAGEMAP_SCAN (Linux 6.7): plugin calls scale less over cores");
        }
        let small = Engine::new(Class::Small, instances, memory_reservation)?;
        let large = Engine::new(Class::Large, large_instances, memory_reservation)?;
        Ok(Self { small, large })
    }

    pub(crate) fn of(&self, class: Class) -> &Engine {
        match class {
            Class::Small => &self.small,
            Class::Large => &self.large,
        }
    }
}

impl Engine {
    fn new(class: Class, instances: u32, memory_reservation: u64) -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError::Wasm {
            instances,
            memory_reservation,
            why: format!("{error:#}"),
        };
        let room = class.room();
        let wasm = wasmtime::Engine::new(&pooled(room, instances, memory_reservation)).map_err(failed)?;
        tick(wasm.weak()).map_err(EngineError::Ticker)?;
        let imports = imports(&wasm).map_err(failed)?;
        Ok(Self { wasm, imports, places: Places::new(instances, room.share), room, class })
    }

    /// How much fuel a guest burns before others have their turn on its thread. A large one has a thread of
    /// its own.
    pub(crate) fn yields(&self) -> Option<u64> {
        match self.class {
            Class::Small => Some(YIELD_FUEL),
            Class::Large => None,
        }
    }

    /// Runs a call where calls of its class run. A large one makes of its thread one that serves no sockets
    /// until it ends; there are no more of these than places. Where the one thread there is asks, it runs there.
    pub(crate) async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        let handle = Handle::current();
        match (self.class, handle.runtime_flavor()) {
            (Class::Large, RuntimeFlavor::MultiThread) => block_in_place(|| handle.block_on(call)),
            _ => call.await,
        }
    }

    /// Ticks until a deadline: one more, since the next may come at once.
    #[expect(clippy::unused_self, reason = "ticks are the engine's")]
    pub(crate) fn ticks(&self, deadline: Duration) -> u64 {
        1 + u64::try_from(deadline.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX - 1)
    }
}

/// Instances come from a pool.
fn pooled(room: Room, instances: u32, memory_reservation: u64) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(room.core_instances))
        .total_memories(instances.saturating_mul(room.memories))
        .total_tables(instances.saturating_mul(room.tables))
        .total_stacks(instances)
        .max_core_instances_per_component(room.core_instances)
        .max_memories_per_component(room.memories)
        .max_tables_per_component(room.tables)
        .max_memory_size(room.memory)
        .table_elements(room.table)
        .linear_memory_keep_resident(room.resident)
        .table_keep_resident(RESIDENT_TABLE)
        .async_stack_keep_resident(RESIDENT_STACK)
        .pagemap_scan(Enabled::Auto);
    let mut config = config(memory_reservation);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// What code depends on: the same for both classes, and for the compiler in its own process.
pub(crate) fn config(memory_reservation: u64) -> Config {
    let mut config = Config::new();
    config
        .memory_init_cow(true)
        .memory_reservation(memory_reservation)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(CALL_STACK)
        .wasm_backtrace_max_frames(None);
    config
}

/// Ticks until the engine is gone.
fn tick(engine: EngineWeak) -> std::io::Result<()> {
    let ticker = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new().name("plugin-ticks".into()).spawn(ticker).map(drop)
}
