//! Why a call gave no answer that counts.

use switchhook_core::policy::{
    InvalidDescription, InvalidRefusal, Refusal, nat::InvalidVerdict, registration::InvalidTransition,
    route::InvalidPlan,
};
use switchhook_protocol::{endpoint::InvalidEndpoint, id::InvalidId};
use wasmtime::Trap;

use crate::call::{Call, TooManyHostCalls};

/// Why a plugin's answer does not count; the slot's declared default counts instead (PLUG-4).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The tenant has no plugin in this slot.
    #[error("no plugin is active")]
    Missing,
    /// The version that the attempt began with was taken back.
    #[error("its version was killed")]
    Killed,
    /// It said no on purpose, in a slot where only an answer helps.
    #[error("it refused: {}", .0.code)]
    Refused(Refusal),
    /// It misbehaved: an impossible instruction, a wrong access, a panic, too deep a recursion.
    #[error("it trapped: {0}")]
    Trapped(String),
    /// It burned its budget.
    #[error("it ran out of fuel")]
    OutOfFuel,
    /// It ran past the wall deadline.
    #[error("it ran out of time")]
    OutOfTime,
    /// It wanted more memory or table than it may have, and trapped without.
    #[error("it ran out of memory")]
    OutOfMemory,
    /// It called host functions without end.
    #[error("it called host functions too often")]
    TooManyHostCalls,
    /// Its answer, or what it passed to a host function, is too large.
    #[error("it handed out too much data")]
    TooLarge,
    /// It answered what breaks a rule of the slot.
    #[error("its answer is invalid: {0}")]
    Invalid(#[from] InvalidOutput),
    /// A webhook gave no answer.
    #[error("the webhook did not answer: {0}")]
    Unreachable(String),
    /// A webhook answered what is no record of the contract.
    #[error("the webhook's answer cannot be read: {0}")]
    NoAnswer(String),
    /// All instances were busy until the deadline.
    #[error("no instance was free in time")]
    Busy,
    /// Its tenant burned its share in calls that gave no answer; it is asked again when that is paid off.
    #[error("its tenant's share of fuel was burned in calls that gave no answer")]
    Spent,
    /// It asked its tenant's services again and again, and did not decide.
    #[error("it asked in more rounds than there are")]
    AskedTooOften,
    /// The host failed.
    #[error("the host failed: {0}")]
    Host(String),
}

/// A rule that an answer breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOutput {
    /// Of a router's answer.
    #[error(transparent)]
    Plan(#[from] InvalidPlan),
    /// Of a NAT policy's answer.
    #[error(transparent)]
    Verdict(#[from] InvalidVerdict),
    /// Of a registration method's answer.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// Of a refusal.
    #[error(transparent)]
    Refusal(#[from] InvalidRefusal),
    /// Of a description.
    #[error(transparent)]
    Description(#[from] InvalidDescription),
    /// Something stands for an endpoint identifier and is none.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// Something stands for an id and is none.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// The key of an attempt is empty or too long.
    #[error("the key of the attempt is empty or longer than 512 bytes")]
    AttemptKey,
}

impl Failure {
    /// Its word in metrics and records.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Killed => "killed",
            Self::Refused(_) => "refused",
            Self::Trapped(_) => "trapped",
            Self::OutOfFuel => "out-of-fuel",
            Self::OutOfTime => "out-of-time",
            Self::OutOfMemory => "out-of-memory",
            Self::TooManyHostCalls => "too-many-host-calls",
            Self::TooLarge => "too-large",
            Self::Invalid(_) => "invalid",
            Self::Unreachable(_) => "unreachable",
            Self::NoAnswer(_) => "no-answer",
            Self::Busy => "busy",
            Self::Spent => "spent",
            Self::AskedTooOften => "asked-too-often",
            Self::Host(_) => "host",
        }
    }

    /// Whether what the call burned brought nothing. A refusal is an answer.
    pub(crate) const fn is_in_vain(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// What an error of a call into a guest means.
    pub(crate) fn of(error: &wasmtime::Error, call: &Call) -> Self {
        if error.is::<TooManyHostCalls>() {
            return Self::TooManyHostCalls;
        }
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::Busy;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Self::OutOfFuel,
            Some(Trap::Interrupt) => Self::OutOfTime,
            Some(_) if call.growth.denied => Self::OutOfMemory,
            Some(trap) => Self::Trapped(trap.to_string()),
            // Wasmtime has no public type for it.
            None if format!("{error:#}").contains("fuel allocated for hostcalls") => Self::TooLarge,
            None if call.growth.denied => Self::OutOfMemory,
            // The canonical ABI's own checks: text that is no UTF-8, pointers out of bounds.
            None => Self::Trapped(error.root_cause().to_string()),
        }
    }
}
