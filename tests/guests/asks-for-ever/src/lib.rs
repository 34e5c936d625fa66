//! Asks its tenant's service and never decides.

use switchhook_plugin::{
    Context, Description, Refusal, Request,
    router::{Decision, InviteRouter, Question},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("asks-for-ever", "1.0.0", "Asks its tenant's service and never decides.")
    }

    fn route(_: &Context, _: &Question) -> Result<Decision, Refusal> {
        Ok(Decision::Ask(vec![Request {
            id: "again".into(),
            url: "https://crm.invalid/".into(),
            body: vec![],
        }]))
    }
}
