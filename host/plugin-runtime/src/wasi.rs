//! WASI 0.2 without authority, for languages whose runtime asks for a system below it.
//!
//! There are no files, no network, no environment and no sleep. What differs from call to call follows
//! from what the call was told, so that it can be repeated: the wall clock stands at its `now`, the
//! monotonic clock at zero, and randomness grows from its `seed`. What a guest prints becomes lines of
//! its log.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rand_pcg::{Pcg64, rand_core::SeedableRng as _};
use switchhook_core::policy::Context;
use switchhook_protocol::time::Timestamp;
use tokio::io::{AsyncWrite, sink};
use wasmtime::component::{HasData, HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::{
    HostWallClock, WasiCtx, WasiCtxView, WasiView, async_trait,
    cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView as _},
    clocks::{WasiClocks, WasiClocksView as _},
    filesystem::{WasiFilesystem, WasiFilesystemView as _},
    p2::{
        DynPollable, OutputStream, Pollable, StreamResult,
        bindings::{cli, clocks, clocks::monotonic_clock, filesystem, random},
    },
    random::WasiRandom,
};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::{
    call::Call,
    limits::{MAX_LOG_LINE, MAX_LOG_LINES, MAX_OUTPUT, MAX_RANDOM, MAX_WASI_RESOURCES},
};

/// What a guest may import of WASI, by package and interface. `http` and `sockets` are missing.
const INTERFACES: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Whether an import is one of those, in a version that all fit.
pub(crate) fn offers(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else { return false };
    version.starts_with("0.2.") && INTERFACES.contains(&interface)
}

/// Gives them to guests.
pub(crate) fn link(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<Call, Table>(linker, |call| call.ctx().table)?;
    io::poll::add_to_linker::<Call, Table>(linker, |call| call.ctx().table)?;
    io::streams::add_to_linker::<Call, Table>(linker, |call| call.ctx().table)?;
    clocks::wall_clock::add_to_linker::<Call, WasiClocks>(linker, Call::clocks)?;
    monotonic_clock::add_to_linker::<Call, HasSelf<Call>>(linker, |call| call)?;
    random::random::add_to_linker::<Call, WasiRandom>(linker, |call| call.ctx().ctx.random())?;
    random::insecure::add_to_linker::<Call, WasiRandom>(linker, |call| call.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<Call, WasiRandom>(linker, |call| call.ctx().ctx.random())?;
    filesystem::types::add_to_linker::<Call, WasiFilesystem>(linker, Call::filesystem)?;
    filesystem::preopens::add_to_linker::<Call, WasiFilesystem>(linker, Call::filesystem)?;
    link_cli(linker)
}

fn link_cli(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    cli::environment::add_to_linker::<Call, WasiCli>(linker, Call::cli)?;
    cli::exit::add_to_linker::<Call, WasiCli>(linker, Call::cli)?;
    cli::stdin::add_to_linker::<Call, WasiCli>(linker, Call::cli)?;
    cli::stdout::add_to_linker::<Call, WasiCli>(linker, Call::cli)?;
    cli::stderr::add_to_linker::<Call, WasiCli>(linker, Call::cli)?;
    cli::terminal_input::add_to_linker::<Call, WasiCli>(linker, Call::cli)?;
    cli::terminal_output::add_to_linker::<Call, WasiCli>(linker, Call::cli)?;
    cli::terminal_stdin::add_to_linker::<Call, WasiCli>(linker, Call::cli)?;
    cli::terminal_stdout::add_to_linker::<Call, WasiCli>(linker, Call::cli)?;
    cli::terminal_stderr::add_to_linker::<Call, WasiCli>(linker, Call::cli)
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// What a call is told that differs each time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    now: Timestamp,
    seed: (u64, u64),
}

impl Moment {
    /// For what is asked of a plugin before anybody's call: always the same.
    pub(crate) const NONE: Self = Self { now: Timestamp::from_millis(0), seed: (0, 0) };
}

impl From<&Context> for Moment {
    fn from(context: &Context) -> Self {
        Self { now: context.now, seed: context.seed }
    }
}

/// The system below one call; made when its guest first asks for it, which most never do.
pub(crate) struct Wasi {
    moment: Moment,
    made: Option<Made>,
    printed: Printed,
}

struct Made {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl Wasi {
    pub(crate) fn at(moment: Moment) -> Self {
        Self { moment, made: None, printed: Printed::default() }
    }

    /// What the guest has printed, line by line.
    pub(crate) fn printed(&self) -> Vec<String> {
        if self.made.is_none() {
            return vec![];
        }
        let printed = mem::take(&mut *self.printed.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&printed).lines().map(str::to_owned).collect()
    }

    fn make(moment: Moment, printed: &Printed) -> Made {
        let seed = u128::from(moment.seed.0) << 64 | u128::from(moment.seed.1);
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&seed.to_le_bytes());
        let mut ctx = WasiCtx::builder();
        ctx.stdout(printed.clone()).stderr(printed.clone());
        ctx.wall_clock(moment).insecure_random_seed(seed);
        ctx.secure_random(Pcg64::from_seed(bytes)).insecure_random(Pcg64::from_seed(bytes));
        ctx.max_random_size(MAX_RANDOM);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_WASI_RESOURCES);
        Made { ctx: ctx.build(), table }
    }
}

impl fmt::Debug for Wasi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasi").field("moment", &self.moment).finish_non_exhaustive()
    }
}

impl WasiView for Call {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Wasi { moment, made, printed } = &mut self.wasi;
        let Made { ctx, table } = made.get_or_insert_with(|| Wasi::make(*moment, printed));
        WasiCtxView { ctx, table }
    }
}

impl HostWallClock for Moment {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.now.as_millis())
    }
}

/// A guest wanted to sleep. Whoever waits for time to pass holds an instance that others wait for.
#[derive(Debug, thiserror::Error)]
#[error("a plugin cannot sleep: it answers at once, and is asked again when something happens")]
struct NoSleep;

/// Time does not pass in a call.
impl monotonic_clock::Host for Call {
    fn now(&mut self) -> wasmtime::Result<monotonic_clock::Instant> {
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<monotonic_clock::Duration> {
        Ok(1)
    }

    fn subscribe_instant(
        &mut self,
        _until: monotonic_clock::Instant,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        Err(NoSleep.into())
    }

    fn subscribe_duration(
        &mut self,
        _time: monotonic_clock::Duration,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        Err(NoSleep.into())
    }
}

/// Standard output and standard error in the order of their writing. What is over is dropped, as it is of a log.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    const ROOM: usize = MAX_LOG_LINES * MAX_LOG_LINE;
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = Self::ROOM.saturating_sub(printed.len());
        printed.extend(bytes.iter().take(room));
        drop(printed);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_OUTPUT)
    }
}

#[async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// WASI 0.3 asks for it, which is not offered.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(sink())
    }
}
