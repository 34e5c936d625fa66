//! Wasmtime, set up for many short calls.
//!
//! Every call has a fresh instance. What makes that cheap is the pooling allocator with memory that
//! stays resident: a slot is reset by writing over the pages that the last call touched, which the
//! kernel names by `PAGEMAP_SCAN`. Without either, each call maps and unmaps memory under a lock of
//! the whole process, and a second core makes things worse. Where the kernel lacks the scan (before
//! 6.7) the lower part of each memory is reset as a whole.
//!
//! Fuel is the budget of a call; it also makes a guest let go of its thread every so often. The epoch, ticked by
//! a thread for all calls, is the deadline behind it.

use std::{thread, time::Duration};

use wasmtime::{Config, Enabled, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::{
    limits::{
        CALL_STACK, GUEST_STACK, MAX_CORE_INSTANCES, MAX_MEMORY, MAX_TABLE, RESIDENT_MEMORY, RESIDENT_STACK,
        RESIDENT_TABLE, TICK,
    },
    places::Places,
};

/// What an operator can set about the engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Calls that run at the same time; others wait for their turn.
    pub instances: u32,
    /// Address space kept for each instance's memory. At 4 GiB and more the hardware checks a guest's
    /// accesses; where address space is scarce (`ulimit -v`), less costs guests some speed.
    pub memory_reservation: u64,
}

pub(crate) struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) places: Places,
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
        Self { instances: 100, memory_reservation: 4 << 30 }
    }
}

impl Engine {
    pub(crate) fn new(settings: &EngineSettings) -> Result<Self, EngineError> {
        let EngineSettings { instances, memory_reservation } = *settings;
        let wasm = wasmtime::Engine::new(&config(settings)).map_err(|error| EngineError::Wasm {
            instances,
            memory_reservation,
            why: format!("{error:#}"),
        })?;
        if !PoolingAllocationConfig::is_pagemap_scan_available() {
            tracing::warn!("this kernel has no PAGEMAP_SCAN (Linux 6.7): plugin calls scale less over cores");
        }
        tick(wasm.weak()).map_err(EngineError::Ticker)?;
        Ok(Self { wasm, places: Places::new(instances) })
    }

    /// Ticks until a deadline: one more, since the next may come at once.
    #[expect(clippy::unused_self, reason = "ticks are the engine's")]
    pub(crate) fn ticks(&self, deadline: Duration) -> u64 {
        1 + u64::try_from(deadline.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX - 1)
    }
}

fn config(settings: &EngineSettings) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(settings.instances)
        .total_core_instances(settings.instances.saturating_mul(4))
        .total_memories(settings.instances.saturating_mul(2))
        .total_tables(settings.instances.saturating_mul(4))
        .total_stacks(settings.instances)
        .max_core_instances_per_component(u32::try_from(MAX_CORE_INSTANCES).unwrap_or(u32::MAX))
        .max_memory_size(MAX_MEMORY)
        .table_elements(MAX_TABLE)
        .linear_memory_keep_resident(RESIDENT_MEMORY)
        .table_keep_resident(RESIDENT_TABLE)
        .async_stack_keep_resident(RESIDENT_STACK)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        .memory_reservation(settings.memory_reservation)
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
