//! Panics.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{Decision, InviteRouter, Question},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("traps", "1.0.0", "Panics.")
    }

    fn route(_: &Context, _: &Question) -> Result<Decision, Refusal> {
        panic!("on purpose")
    }
}
