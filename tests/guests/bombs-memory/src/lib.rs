//! Allocates until there is no more.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{Decision, InviteRouter, Question},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("bombs-memory", "1.0.0", "Allocates until there is no more.")
    }

    fn route(_: &Context, _: &Question) -> Result<Decision, Refusal> {
        let mut hoard = vec![];
        loop {
            hoard.push(core::hint::black_box(Vec::<u8>::with_capacity(1 << 20)));
        }
    }
}
