//! One call: a store of its own, what the guest may ask the host for, and what is known afterwards.

use std::{sync::Arc, time::Duration};

use switchhook_core::{
    policy::{Facts, Standing},
    transit::conversion::Conversion,
};
use switchhook_protocol::endpoint::EndpointId;
use wasmtime::{Store, component::HasSelf};

use crate::{
    bindings::v0_1::shared::switchhook::types::{facts, key_value, log, types},
    clock::Stopwatch,
    engine::Engine,
    failure::Failure,
    limits::{Budget, Growth, MAX_HOST_CALLS, MAX_KEYS, MAX_LOG_LINE, MAX_LOG_LINES, MAX_OUTPUT},
    places::{Asker, Place},
    turns::Burned,
    wasi::{self, Moment, Wasi},
};

/// A line that a guest wrote for its tenant's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How urgent.
    pub level: LogLevel,
    /// At most 512 bytes.
    pub text: String,
}

/// How urgent a line of log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// For the tenant.
    Info,
    /// Somebody should look.
    Warn,
    /// Something went wrong.
    Error,
}

impl LogLevel {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What the host knows of a call while it runs.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) growth: Growth,
    pub(crate) wasi: Wasi,
    facts: Arc<Facts>,
    log: Vec<LogLine>,
    host_calls_left: u32,
}

/// A guest called host functions more often than [`MAX_HOST_CALLS`].
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_HOST_CALLS} calls of host functions")]
pub(crate) struct TooManyHostCalls;

/// A call that has its place among the instances.
pub(crate) struct Running {
    pub(crate) store: Store<Call>,
    budget: Budget,
    since: Stopwatch,
    place: Place,
}

/// What a call left behind.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    pub(crate) outcome: Result<T, Failure>,
    pub(crate) took: Duration,
    pub(crate) fuel: u64,
    pub(crate) log: Vec<LogLine>,
}

impl Running {
    /// Waits for a place, at most as long as the call might have taken.
    pub(crate) async fn begin(
        engine: &Engine,
        asker: Asker,
        budget: Budget,
        (moment, facts): (Moment, Arc<Facts>),
    ) -> Result<Self, Failure> {
        let since = Stopwatch::start();
        let mut place = engine.places.place(asker, budget.deadline).await?;
        place.burned.fuel = budget.fuel;
        let call = Call {
            growth: Growth::within(engine.room),
            wasi: Wasi::at(moment),
            facts,
            log: vec![],
            host_calls_left: MAX_HOST_CALLS,
        };
        let mut store = Store::new(&engine.wasm, call);
        store.limiter(|call| &mut call.growth);
        store.set_hostcall_fuel(MAX_OUTPUT);
        store.set_epoch_deadline(engine.ticks(budget.deadline));
        let fuelled =
            store.set_fuel(budget.fuel).and_then(|()| store.fuel_async_yield_interval(engine.yields()));
        fuelled.map_err(|error| Failure::Host(error.to_string()))?;
        Ok(Self { store, budget, since, place })
    }

    pub(crate) fn end<T, E: Into<Failure>>(mut self, result: wasmtime::Result<Result<T, E>>) -> Ended<T> {
        let outcome = match result {
            Ok(answer) => answer.map_err(Into::into),
            Err(error) => Err(Failure::of(&error, self.store.data())),
        };
        let fuel = self.budget.fuel.saturating_sub(self.store.get_fuel().unwrap_or(0));
        // A component that nobody owns yet has nobody's share: its tenant's uploads are counted elsewhere.
        let in_vain = self.place.is_of_tenant() && outcome.as_ref().is_err_and(Failure::is_in_vain);
        self.place.burned = Burned { fuel, in_vain };
        let log = self.store.into_data().into_log();
        Ended { outcome, took: self.since.elapsed(), fuel, log }
    }
}

impl<T> Ended<T> {
    /// A call that did not begin.
    pub(crate) const fn never(failure: Failure) -> Self {
        Self { outcome: Err(failure), took: Duration::ZERO, fuel: 0, log: vec![] }
    }
}

impl Call {
    fn count_host_call(&mut self) -> wasmtime::Result<()> {
        let left = self.host_calls_left.checked_sub(1).ok_or(TooManyHostCalls)?;
        self.host_calls_left = left;
        Ok(())
    }

    fn note(&mut self, level: LogLevel, mut text: String) {
        if self.log.len() < MAX_LOG_LINES {
            text.truncate(text.floor_char_boundary(MAX_LOG_LINE));
            self.log.push(LogLine { level, text });
        }
    }

    /// What the guest has logged, then what it has printed.
    fn into_log(mut self) -> Vec<LogLine> {
        for line in self.wasi.printed() {
            self.note(LogLevel::Info, line);
        }
        self.log
    }
}

impl types::Host for Call {}

impl log::Host for Call {
    fn write(&mut self, level: log::Level, text: String) -> wasmtime::Result<()> {
        self.count_host_call()?;
        self.note(level.into(), text);
        Ok(())
    }
}

impl facts::Host for Call {
    fn devices_of(&mut self, identifier: String) -> wasmtime::Result<u8> {
        self.count_host_call()?;
        let devices = identifier.parse().ok().and_then(|endpoint| self.facts.devices.get(&endpoint));
        Ok(devices.copied().unwrap_or(0))
    }

    fn canonical(&mut self, typed: String) -> wasmtime::Result<Option<String>> {
        self.count_host_call()?;
        Ok(typed.parse().ok().map(|endpoint: EndpointId| endpoint.into()))
    }

    fn conversion_of(&mut self, number: String) -> wasmtime::Result<facts::Conversion> {
        self.count_host_call()?;
        let known = number.parse().map(|number| self.facts.conversion_of(&number)).unwrap_or_default();
        let Conversion { sent, delivered, proven } = known;
        Ok(facts::Conversion { sent, delivered, proven })
    }

    fn standing_of(&mut self, address: String) -> wasmtime::Result<facts::Standing> {
        self.count_host_call()?;
        let standing = address.parse().ok().and_then(|endpoint| self.facts.addresses.get(&endpoint));
        Ok(match standing.copied().unwrap_or_default() {
            Standing::Unknown => facts::Standing::Unknown,
            Standing::Asked => facts::Standing::Asked,
            Standing::Declined => facts::Standing::Declined,
            Standing::Validated => facts::Standing::Validated,
            Standing::ValidatedByDirectory => facts::Standing::ValidatedByDirectory,
        })
    }
}

impl key_value::Host for Call {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.count_host_call()?;
        Ok(self.facts.pairs.get(&key).cloned())
    }

    fn keys(&mut self, prefix: String) -> wasmtime::Result<Vec<String>> {
        self.count_host_call()?;
        let begins = |key: &&String| key.starts_with(&prefix);
        let keys = self.facts.pairs.range(prefix.clone()..).map(|(key, _)| key).take_while(begins);
        Ok(keys.take(MAX_KEYS).cloned().collect())
    }
}

/// Everything that a guest can import; nothing else exists for it.
pub(crate) fn imports(engine: &wasmtime::Engine) -> wasmtime::Result<wasmtime::component::Linker<Call>> {
    let mut linker = wasmtime::component::Linker::new(engine);
    types::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    log::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    facts::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    key_value::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    wasi::link(&mut linker)?;
    Ok(linker)
}
