//! Never finishes a verdict.

use switchhook_plugin::{
    Context, Description, Refusal,
    nat::{NatPolicy, Question, Verdict},
};

struct Guest;

switchhook_plugin::export!(NatPolicy: Guest);

impl NatPolicy for Guest {
    fn describe() -> Description {
        Description::new("loops-in-decide", "1.0.0", "Never finishes a verdict.")
    }

    fn decide(_: &Context, _: &Question) -> Result<Verdict, Refusal> {
        loop {
            core::hint::black_box(());
        }
    }
}
