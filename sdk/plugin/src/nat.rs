//! The slot of the NAT policy: whether two devices talk directly or through a relay.

use alloc::{string::String, vec::Vec};
use core::marker::PhantomData;

pub use crate::bindings::nat_policy::{
    Verdict,
    switchhook::nat_policy::nat::{
        Attempt, Effort, Filtering, Guessing, Mapping, Origin, Outcomes, Party, Patience, RelayHint,
    },
};
use crate::{Answer, Context, Description, Refusal, bindings::nat_policy as world};

/// Decides how two devices connect.
pub trait NatPolicy {
    /// Name, version and purpose.
    fn describe() -> Description;

    /// Whether a tenant's configuration is one that [`Self::decide`] understands, else why not.
    fn validate_config(configuration: &str) -> Result<(), String> {
        let _ = configuration;
        Ok(())
    }

    /// The verdict. A refusal counts as a failure of the plugin.
    fn decide(context: &Context, question: &Question) -> Result<Verdict, Refusal>;
}

/// Everything that a NAT policy is asked about.
#[derive(Debug, Clone)]
pub struct Question {
    /// One side.
    pub a: Party,
    /// The other side.
    pub b: Party,
    /// What was tried before in this session.
    pub attempt: Attempt,
    /// How earlier sessions between these networks went.
    pub history: Outcomes,
    /// Answers to the requests of the round before.
    pub answers: Vec<Answer>,
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

impl<T: NatPolicy> world::Guest for Exported<T> {
    fn describe() -> Description {
        T::describe()
    }

    fn validate_config(configuration: String) -> Result<(), String> {
        T::validate_config(&configuration)
    }

    fn decide(
        context: Context,
        a: Party,
        b: Party,
        attempt: Attempt,
        history: Outcomes,
        answers: Vec<Answer>,
    ) -> Result<Verdict, Refusal> {
        T::decide(&context, &Question { a, b, attempt, history, answers })
    }
}
