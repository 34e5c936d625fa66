//! Never finishes a plan, nor a look at its configuration.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{Decision, InviteRouter, Question},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("loops-in-route", "1.0.0", "Never finishes a plan, nor a look at its configuration.")
    }

    fn validate_config(_: &str) -> Result<(), String> {
        loop {
            core::hint::black_box(());
        }
    }

    fn route(_: &Context, _: &Question) -> Result<Decision, Refusal> {
        loop {
            core::hint::black_box(());
        }
    }
}
