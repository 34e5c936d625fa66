//! The slot of a registration method: how a device proves an endpoint identifier.
//!
//! An attempt begins with a text that the method claims or a device that asks for it, and goes on
//! until a step finishes or refuses it. Secrets (signatures, codes, links) are made and compared by
//! the host; the method only says when.

use alloc::{string::String, vec::Vec};
use core::marker::PhantomData;

pub use crate::bindings::registration_method::{
    MethodDescription,
    switchhook::registration_method::registration::{
        AddressState, Credentials, Delivery, Effect, Event, Fetch, Fetched, Field, Mail, Pair,
        ProfileAddress, Proof, Scope, Signature, Text, TextMessage, Transition,
    },
};
use crate::{Context, Description, Refusal, bindings::registration_method as world};

/// Decides how a device proves an identifier.
pub trait RegistrationMethod {
    /// Name, version and purpose.
    fn describe() -> Description;

    /// Beginnings of the inbound texts that this method claims.
    fn text_prefixes() -> Vec<String> {
        Vec::new()
    }

    /// Whether a tenant's configuration is one that [`Self::step`] understands, else why not.
    fn validate_config(configuration: &str) -> Result<(), String> {
        let _ = configuration;
        Ok(())
    }

    /// The attempt that a text begins or continues; none if it is not for this method.
    fn claim(text: &TextMessage) -> Option<String> {
        let _ = text;
        None
    }

    /// What follows an event. `state` is what the step before returned, none at the first.
    fn step(context: &Context, state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal>;
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

impl<T: RegistrationMethod> world::Guest for Exported<T> {
    fn describe() -> MethodDescription {
        MethodDescription { description: T::describe(), text_prefixes: T::text_prefixes() }
    }

    fn validate_config(configuration: String) -> Result<(), String> {
        T::validate_config(&configuration)
    }

    fn claim(text: TextMessage) -> Option<String> {
        T::claim(&text)
    }

    fn step(context: Context, state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        T::step(&context, state, event)
    }
}
