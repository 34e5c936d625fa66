//! Writes log without end.

use switchhook_plugin::{
    Context, Description, Refusal, log,
    router::{Decision, InviteRouter, Question},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("floods-host-calls", "1.0.0", "Writes log without end.")
    }

    fn route(_: &Context, _: &Question) -> Result<Decision, Refusal> {
        loop {
            log::info("again");
        }
    }
}
