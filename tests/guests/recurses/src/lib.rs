//! Calls itself until the stack is full.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{Decision, InviteRouter, Question},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("recurses", "1.0.0", "Calls itself until the stack is full.")
    }

    fn route(_: &Context, question: &Question) -> Result<Decision, Refusal> {
        let depth = descend(question.targets.len());
        Err(Refusal::new("depth", &depth.to_string()))
    }
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is what it does wrong")]
fn descend(depth: usize) -> usize {
    let frame = core::hint::black_box([depth; 64]);
    descend(frame.len() + depth) + frame.iter().sum::<usize>()
}
