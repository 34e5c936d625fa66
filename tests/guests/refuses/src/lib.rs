//! Says no to every invite.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{Decision, InviteRouter, Question},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("refuses", "1.0.0", "Says no to every invite.")
    }

    fn route(_: &Context, _: &Question) -> Result<Decision, Refusal> {
        Err(Refusal::new("closed", "Nobody is rung here."))
    }
}
