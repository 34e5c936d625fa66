//! Never finishes describing itself.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{Decision, InviteRouter, Question},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        loop {
            core::hint::black_box(());
        }
    }

    fn route(_: &Context, _: &Question) -> Result<Decision, Refusal> {
        Err(Refusal::new("never", "Nobody comes here."))
    }
}
