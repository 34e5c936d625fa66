//! Runs plugins: WebAssembly components, a fresh instance a call, under limits.
//!
//! [`Runtime`] makes bytes into a [`Compiled`] plugin: parsed to the last byte, its imports and
//! exports compared with the contract of its [`Slot`], compiled, asked to describe itself.
//! [`Slots`] knows which compiled version each tenant has active, and asks it: who shall ring, direct
//! or relay, what follows in a registration. Every question is answered by a [`Decision`]: if the
//! plugin fails, or its answer breaks a rule of its slot, the declared default stands there together
//! with the [`Failure`].
//!
//! Calls are pure: nothing is kept from one to the next, and a guest has no clock, no randomness, no
//! files and no network. The plugins that ship with the host ([`builtin`]) come here as bytes like
//! any other and get exactly the same (PLUG-2).

mod artefacts;
mod ask;
mod bindings;
pub mod builtin;
mod call;
mod clock;
mod compiled;
mod compiler;
mod contract;
mod encode;
mod engine;
mod failure;
mod limits;
mod metrics;
mod places;
mod runtime;
mod slots;
mod turns;
mod wasi;
mod webhook;

pub use artefacts::ArtefactSettings;
pub use call::{LogLevel, LogLine};
pub use compiled::{Compiled, Digest};
pub use compiler::{Compiler, compile_plugin};
pub use contract::{Class, Finding, Report, Severity, contract_reference, report};
pub use encode::{EncodeError, encode};
pub use engine::{EngineError, EngineSettings};
pub use failure::{Failure, InvalidOutput};
pub use limits::{Deadlines, MAX_COMPONENT};
pub use metrics::Metrics;
pub use runtime::{CompileError, ConfigurationError, Examined, NotExamined, Runtime, RuntimeSettings};
pub use slots::{ActivateError, ActivePlugin, By, Decision, Slots};
pub use switchhook_core::policy::Slot;
pub use webhook::{Carried, Transport};
