//! What a guest may use: one table, each number with its reason, the same for built-ins and uploads.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Bounds of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// The budget proper: the same call costs the same on every machine, in test and production.
    pub(crate) fuel: u64,
    /// The backstop, in wall time, for what fuel does not see.
    pub(crate) deadline: Duration,
}

/// How long calls may take, in wall time.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// A router's or a NAT policy's: somebody waits for the ringing.
    pub decision: Duration,
    /// A registration method's, and what a plugin says about itself and its configuration.
    pub step: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { decision: Duration::from_millis(50), step: Duration::from_millis(250) }
    }
}

impl Deadlines {
    /// A plan for five devices costs a thousandth of the fuel. The tightest loop burns all of it in 9 ms
    /// (`benches`, `plugin-call`), so the deadline decides only on a machine five times slower.
    pub(crate) const fn decision(self) -> Budget {
        Budget { fuel: 5_000_000, deadline: self.decision }
    }

    /// A step may check signatures of its own, and nobody's ringing waits for it.
    pub(crate) const fn step(self) -> Budget {
        Budget { fuel: 50_000_000, deadline: self.step }
    }
}

/// How much fuel a guest burns before others have their turn on its thread: 0.2 ms of the tightest loop
/// (`benches`, `plugin-call`), to stay below half a millisecond on slower machines.
pub(crate) const YIELD_FUEL: u64 = 100_000;

/// What one tenant may have of the engine before others do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    /// What it burns and nobody notices.
    pub(crate) fuel_per_second: u64,
    /// How far ahead of that it may be.
    pub(crate) burst: Duration,
    /// Calls that wait for a place; each waits no longer than its deadline.
    pub(crate) waiting: usize,
}

/// A core burns some 550 M fuel a second: a tenth of one, or ten thousand ordinary decisions a
/// second, for ten seconds at once. Waiting calls come to a few milliseconds of a core.
pub(crate) const SHARE: Share =
    Share { fuel_per_second: 50_000_000, burst: Duration::from_secs(10), waiting: 256 };

/// A tenant has at most one in so many of the places: three others as greedy leave room for the rest.
pub(crate) const PART: u32 = 4;

/// Tenants remembered for what they burned before those that are paid off are forgotten.
pub(crate) const SWEEP: usize = 10_000;

impl Share {
    /// How long fuel takes to be paid off.
    pub(crate) fn pays(self, fuel: u64) -> Duration {
        let micros = u128::from(fuel) * 1_000_000 / u128::from(self.fuel_per_second.max(1));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// How often the epoch ticks: the precision of the deadline.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Largest upload.
pub const MAX_COMPONENT: usize = 32 * 1024 * 1024;

/// From this size on a component is of the large class: it brings the runtime of its language.
pub(crate) const LARGE_COMPONENT: usize = 1024 * 1024;

/// The same of what its memories begin with.
pub(crate) const LARGE_MEMORY: u64 = 16 * 1024 * 1024;

/// Most functions of a component: several times those of Python. Compiling has a price for each.
pub(crate) const MAX_FUNCTIONS: usize = 100_000;

/// Largest linear memory: a hundred times what a policy in Rust touches.
pub(crate) const MAX_MEMORY: usize = 16 * 1024 * 1024;

/// Most entries of a table: the functions of a large guest.
pub(crate) const MAX_TABLE: usize = 20_000;

/// Memory that stays resident in a free slot of the pool, so that the next call there faults in no
/// pages: what a call of a policy in Rust touches, and room.
pub(crate) const RESIDENT_MEMORY: usize = 512 * 1024;

/// The same for tables.
pub(crate) const RESIDENT_TABLE: usize = 16 * 1024;

/// The same for stacks.
pub(crate) const RESIDENT_STACK: usize = 64 * 1024;

/// A guest's stack. Deep recursion ends here.
pub(crate) const GUEST_STACK: usize = 256 * 1024;

/// A stack that a call runs on: the guest's and the host's frames below and above it.
pub(crate) const CALL_STACK: usize = 512 * 1024;

/// Core instances of one component: languages with a runtime and WASI stubs bring some 40.
pub(crate) const MAX_CORE_INSTANCES: usize = 64;

/// Data that a guest may hand out in one answer or one import's arguments.
pub(crate) const MAX_OUTPUT: usize = 256 * 1024;

/// Calls of host functions in one call: each costs the host more than the guest's fuel says.
pub(crate) const MAX_HOST_CALLS: u32 = 1000;

/// Keys of one answer of `key-value.keys`: a page.
pub(crate) const MAX_KEYS: usize = 100;

/// Lines of log that one call keeps; what is over is counted and dropped.
pub(crate) const MAX_LOG_LINES: usize = 32;

/// Bytes of one log line; the rest is cut.
pub(crate) const MAX_LOG_LINE: usize = 512;

/// Memory and tables of one instance.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    /// Whether something was denied: why a guest that trapped afterwards trapped.
    pub(crate) denied: bool,
}

impl ResourceLimiter for Growth {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.allow(desired <= MAX_MEMORY))
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.allow(desired <= MAX_TABLE))
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_CORE_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_CORE_INSTANCES
    }
}

impl Growth {
    fn allow(&mut self, fits: bool) -> bool {
        self.denied |= !fits;
        fits
    }
}
