//! Never finishes a claim or a step.

use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Event, RegistrationMethod, TextMessage, Transition},
};

struct Guest;

switchhook_plugin::export!(RegistrationMethod: Guest);

impl RegistrationMethod for Guest {
    fn describe() -> Description {
        Description::new("loops-in-step", "1.0.0", "Never finishes a claim or a step.")
    }

    fn text_prefixes() -> Vec<String> {
        vec!["SWH ".to_owned()]
    }

    fn claim(_: &TextMessage) -> Option<String> {
        loop {
            core::hint::black_box(());
        }
    }

    fn step(_: &Context, _: Option<Vec<u8>>, _: Event) -> Result<Transition, Refusal> {
        loop {
            core::hint::black_box(());
        }
    }
}
