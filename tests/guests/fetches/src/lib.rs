//! Registers the name that its tenant's service gives: a fine guest.
//!
//! Its configuration is the service's address in quotes. What the service answers is bound, and kept
//! under the key `last`.

use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Effect, Event, Fetch, Pair, RegistrationMethod, Transition},
};

struct Guest;

switchhook_plugin::export!(RegistrationMethod: Guest);

impl RegistrationMethod for Guest {
    fn describe() -> Description {
        Description::new("fetches", "1.0.0", "Registers the name that its tenant's service gives.")
    }

    fn step(context: &Context, _: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        let effects = match event {
            Event::Begun(_) => {
                let url = context.configuration.trim_matches('"').to_owned();
                vec![Effect::Fetch(Fetch { id: "name".into(), url, body: b"{}".to_vec() })]
            }
            Event::Fetched(fetched) => {
                let name = fetched.outcome.map_err(|why| Refusal::new("no-answer", &why))?;
                let pair = Pair { key: "last".into(), value: Some(name.clone()) };
                let bound = Effect::Bind(String::from_utf8_lossy(&name).into_owned());
                vec![Effect::Store(pair), bound, Effect::Finish]
            }
            _ => return Err(Refusal::new("unexpected", "This registration does not go on like that.")),
        };
        Ok(Transition { state: vec![], effects, expires_in: 60_000 })
    }
}
