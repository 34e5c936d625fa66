//! Keeps state larger than a method may.

use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Event, RegistrationMethod, Transition},
};

struct Guest;

switchhook_plugin::export!(RegistrationMethod: Guest);

impl RegistrationMethod for Guest {
    fn describe() -> Description {
        Description::new("remembers-too-much", "1.0.0", "Keeps state larger than a method may.")
    }

    fn step(_: &Context, state: Option<Vec<u8>>, _: Event) -> Result<Transition, Refusal> {
        // The first step keeps what is just allowed, the second one byte more.
        let size = state.map_or(16 * 1024, |state| state.len() + 1);
        Ok(Transition { state: vec![7; size], effects: vec![], expires_in: 60_000 })
    }
}
