//! What a guest may use: one table, each number with its reason, the same for built-ins and uploads.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::contract::Class;

/// Bounds of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// The budget proper: the same call costs the same on every machine, in test and production.
    pub(crate) fuel: u64,
    /// The backstop, in wall time, for what fuel does not see.
    pub(crate) deadline: Duration,
}

/// How long calls may take, in wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// A router's or a NAT policy's: somebody waits for the ringing.
    pub decision: Duration,
    /// A registration method's, and what a plugin says about itself and its configuration.
    pub step: Duration,
    /// A router's or a NAT policy's where it is a webhook: networks are slower than engines.
    pub webhook: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            decision: Duration::from_millis(50),
            step: Duration::from_millis(250),
            webhook: Duration::from_secs(1),
        }
    }
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A router's or a NAT policy's answer.
    Decision,
    /// A registration method's, and what a plugin says about itself and its configuration.
    Step,
}

impl Deadlines {
    /// A plan for five devices costs a small guest a thousandth of its fuel. The tightest loop burns all of it in
    /// 9 ms (`benches`, `plugin-call`), so the deadline decides only on a machine five times slower. A step may
    /// check signatures of its own, and nobody's ringing waits for it.
    ///
    /// A large guest first starts its language: 5 M in JavaScript, 0.3 M in Python. It may burn twenty times
    /// that, and is waited for five times as long.
    pub(crate) const fn budget(self, class: Class, purpose: Purpose) -> Budget {
        let Self { decision, step, .. } = self;
        match (class, purpose) {
            (Class::Small, Purpose::Decision) => Budget { fuel: 5_000_000, deadline: decision },
            (Class::Small, Purpose::Step) => Budget { fuel: 50_000_000, deadline: step },
            (Class::Large, Purpose::Decision) => {
                Budget { fuel: 100_000_000, deadline: decision.saturating_mul(5) }
            }
            (Class::Large, Purpose::Step) => Budget { fuel: 500_000_000, deadline: step.saturating_mul(5) },
        }
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

/// What components of a class may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Largest linear memory, in bytes.
    pub(crate) memory: usize,
    /// Most entries of a table.
    pub(crate) table: usize,
    /// Core instances of one component.
    pub(crate) core_instances: u32,
    /// Memories of one component.
    pub(crate) memories: u32,
    /// Tables of one component.
    pub(crate) tables: u32,
    /// Memory that stays resident in a free slot of the pool, so that the next call there faults in no pages.
    pub(crate) resident: usize,
    /// What a tenant may burn.
    pub(crate) share: Share,
}

/// Memory: a hundred times what a policy in Rust touches. Core instances: one of the guest's and those that the
/// encoding adds. Resident: what a call of a policy in Rust touches, and room. A core burns some 550 M fuel a
/// second; the share is a tenth of one, or ten thousand ordinary decisions a second, for ten seconds at once.
/// Waiting calls come to a few milliseconds of a core.
const SMALL: Room = Room {
    memory: 16 * 1024 * 1024,
    table: 20_000,
    core_instances: 16,
    memories: 2,
    tables: 4,
    resident: 512 * 1024,
    share: Share { fuel_per_second: 50_000_000, burst: Duration::from_secs(10), waiting: 256 },
};

/// Memory: five times what Python begins with. Core instances: Python with its stubs brings 38. Resident: what
/// a call in Python touches, and room. The share is a quarter of a core, or some fifty decisions a second.
/// Waiting calls come to some hundred milliseconds.
const LARGE: Room = Room {
    memory: 64 * 1024 * 1024,
    table: 50_000,
    core_instances: 64,
    memories: 4,
    tables: 8,
    resident: 8 * 1024 * 1024,
    share: Share { fuel_per_second: 150_000_000, burst: Duration::from_secs(10), waiting: 64 },
};

impl Class {
    pub(crate) const fn room(self) -> Room {
        match self {
            Self::Small => SMALL,
            Self::Large => LARGE,
        }
    }
}

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

/// Webhooks that are asked at the same time: each holds a connection and a question. A tenant has a quarter.
pub(crate) const WEBHOOKS: u32 = 256;

/// How long a webhook may take for a step of a registration, and for what it says of itself.
pub(crate) const WEBHOOK_STEP: Duration = Duration::from_secs(5);

/// How often the epoch ticks: the precision of the deadline.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Largest upload.
pub const MAX_COMPONENT: usize = 32 * 1024 * 1024;

/// From this size on a component is of the large class: it brings the runtime of its language. That of `QuickJS`
/// is small enough.
pub(crate) const LARGE_COMPONENT: usize = 2 * 1024 * 1024;

/// The same of what its memories begin with: all that a small one has.
pub(crate) const LARGE_MEMORY: u64 = 16 * 1024 * 1024;

/// Most functions of a component: several times those of Python. Compiling has a price for each.
pub(crate) const MAX_FUNCTIONS: usize = 100_000;

/// What stays resident of each table in a free slot of the pool.
pub(crate) const RESIDENT_TABLE: usize = 16 * 1024;

/// The same for stacks.
pub(crate) const RESIDENT_STACK: usize = 64 * 1024;

/// A guest's stack. Deep recursion ends here.
pub(crate) const GUEST_STACK: usize = 256 * 1024;

/// A stack that a call runs on: the guest's and the host's frames below and above it.
pub(crate) const CALL_STACK: usize = 512 * 1024;

/// Data that a guest may hand out in one answer or one import's arguments.
pub(crate) const MAX_OUTPUT: usize = 256 * 1024;

/// Calls of host functions in one call: each costs the host more than the guest's fuel says.
pub(crate) const MAX_HOST_CALLS: u32 = 1000;

/// Keys of one answer of `key-value.keys`: a page.
pub(crate) const MAX_KEYS: usize = 100;

/// Random bytes that a guest gets at once: keys and tables of languages want some dozens.
pub(crate) const MAX_RANDOM: u64 = 64 * 1024;

/// Streams, pollables and the like that a guest holds of WASI at once: languages hold three for standard input and
/// output, and one while they write.
pub(crate) const MAX_WASI_RESOURCES: usize = 64;

/// Lines of log that one call keeps; what is over is counted and dropped.
pub(crate) const MAX_LOG_LINES: usize = 32;

/// Bytes of one log line; the rest is cut.
pub(crate) const MAX_LOG_LINE: usize = 512;

/// What compiling one component may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compiling {
    /// Of all cores together.
    pub(crate) processor: Duration,
    /// From start to end, waiting for a core included.
    pub(crate) wall: Duration,
    /// Address space, in bytes.
    pub(crate) memory: u64,
}

impl Class {
    /// A policy in Rust takes 30 ms, Python 5 s and JavaScript 10 s of a core; the rest is for what is larger and for slower
    /// machines.
    pub(crate) const fn compiling(self) -> Compiling {
        match self {
            Self::Small => Compiling {
                processor: Duration::from_secs(10),
                wall: Duration::from_secs(30),
                memory: 2 << 30,
            },
            Self::Large => {
                Compiling { processor: Duration::from_mins(2), wall: Duration::from_mins(4), memory: 6 << 30 }
            }
        }
    }
}

/// Components that are compiled at the same time: memory of each is bounded, and calls go on beside them. A
/// tenant has half of them.
pub(crate) const COMPILATIONS: u32 = 2;

/// How long an upload waits for others that are compiled: that of a large one.
pub(crate) const COMPILATION_PATIENCE: Duration = Duration::from_mins(1);

/// Largest code of a component; Python has 60 MB.
pub(crate) const MAX_CODE: u64 = 512 * 1024 * 1024;

/// How far a compiler stands back: a tenth of the share of a call, when cores are scarce.
pub(crate) const COMPILER_NICENESS: i32 = 10;

/// Of what a compiler says of its failure.
pub(crate) const COMPILER_WORDS: u64 = 16 * 1024;

/// Memory and tables of one instance.
#[derive(Debug)]
pub(crate) struct Growth {
    room: Room,
    /// Whether something was denied: why a guest that trapped afterwards trapped.
    pub(crate) denied: bool,
}

impl ResourceLimiter for Growth {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.allow(desired <= self.room.memory))
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.allow(desired <= self.room.table))
    }

    fn instances(&self) -> usize {
        count(self.room.core_instances)
    }

    fn tables(&self) -> usize {
        count(self.room.tables)
    }

    fn memories(&self) -> usize {
        count(self.room.memories)
    }
}

impl Growth {
    pub(crate) const fn within(room: Room) -> Self {
        Self { room, denied: false }
    }

    fn allow(&mut self, fits: bool) -> bool {
        self.denied |= !fits;
        fits
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
