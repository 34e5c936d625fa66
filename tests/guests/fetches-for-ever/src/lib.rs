//! Asks its tenant's service again after each answer.

use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Effect, Event, Fetch, RegistrationMethod, Transition},
};

struct Guest;

switchhook_plugin::export!(RegistrationMethod: Guest);

impl RegistrationMethod for Guest {
    fn describe() -> Description {
        Description::new("fetches-for-ever", "1.0.0", "Asks its tenant's service again after each answer.")
    }

    fn step(context: &Context, _: Option<Vec<u8>>, _: Event) -> Result<Transition, Refusal> {
        let url = context.configuration.trim_matches('"').to_owned();
        let effects = vec![Effect::Fetch(Fetch { id: "again".into(), url, body: vec![] })];
        Ok(Transition { state: vec![], effects, expires_in: 60_000 })
    }
}
