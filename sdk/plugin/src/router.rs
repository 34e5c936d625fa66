//! The slot of the invite router: whom an invite rings, and in what order.

use alloc::{string::String, vec::Vec};
use core::marker::PhantomData;

pub use crate::bindings::invite_router::{
    Decision,
    switchhook::invite_router::routing::{
        AskAgain, Finally, Invite, LegOutcome, LegResult, Plan, Resource, Ring, Target, Wave,
    },
};
use crate::{Answer, Context, Description, Refusal, bindings::invite_router as world};

/// Decides whom an invite rings.
pub trait InviteRouter {
    /// Name, version and purpose.
    fn describe() -> Description;

    /// Whether a tenant's configuration is one that [`Self::route`] understands, else why not.
    fn validate_config(configuration: &str) -> Result<(), String> {
        let _ = configuration;
        Ok(())
    }

    /// The plan for an invite. A refusal counts as a failure of the plugin.
    fn route(context: &Context, question: &Question) -> Result<Decision, Refusal>;
}

/// Everything that a router is asked about.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who invites whom.
    pub invite: Invite,
    /// Devices that can be rung.
    pub targets: Vec<Target>,
    /// How the legs of earlier plans went.
    pub so_far: Vec<LegOutcome>,
    /// Answers to the requests of the round before.
    pub answers: Vec<Answer>,
}

impl Default for AskAgain {
    /// Never.
    fn default() -> Self {
        Self { busy: false, declined: false, no_answer: false }
    }
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

impl<T: InviteRouter> world::Guest for Exported<T> {
    fn describe() -> Description {
        T::describe()
    }

    fn validate_config(configuration: String) -> Result<(), String> {
        T::validate_config(&configuration)
    }

    fn route(
        context: Context,
        invite: Invite,
        targets: Vec<Target>,
        so_far: Vec<LegOutcome>,
        answers: Vec<Answer>,
    ) -> Result<Decision, Refusal> {
        T::route(&context, &Question { invite, targets, so_far, answers })
    }
}
