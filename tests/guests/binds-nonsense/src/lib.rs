//! Binds what is no endpoint identifier.

use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Effect, Event, RegistrationMethod, Transition},
};

struct Guest;

switchhook_plugin::export!(RegistrationMethod: Guest);

impl RegistrationMethod for Guest {
    fn describe() -> Description {
        Description::new("binds-nonsense", "1.0.0", "Binds what is no endpoint identifier.")
    }

    fn step(_: &Context, _: Option<Vec<u8>>, _: Event) -> Result<Transition, Refusal> {
        let effects = vec![Effect::Bind("+1 two".to_owned()), Effect::Finish];
        Ok(Transition { state: vec![], effects, expires_in: 1000 })
    }
}
