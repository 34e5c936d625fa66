//! Texts a second number when the first has its text: a fine guest.
//!
//! The device fills in both: `number` and `then`. While the first text is in doubt, or has failed, it waits.

use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Delivery, Effect, Event, Field, RegistrationMethod, Text, Transition},
};

struct Guest;

switchhook_plugin::export!(RegistrationMethod: Guest);

impl RegistrationMethod for Guest {
    fn describe() -> Description {
        Description::new("texts-on", "1.0.0", "Texts a second number when the first has its text.")
    }

    fn step(_: &Context, state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        let then = state.and_then(|state| String::from_utf8(state).ok());
        match (event, then) {
            (Event::Begun(fields), None) => {
                let (number, then) = (value(&fields, "number")?, value(&fields, "then")?);
                Ok(transition(then, vec![text(number)]))
            }
            (Event::TextSent(Delivery::Sent | Delivery::Delivered), Some(then)) => {
                Ok(transition(String::new(), vec![text(then), Effect::Finish]))
            }
            (Event::TextSent(Delivery::Failed | Delivery::InDoubt), Some(then)) => {
                Ok(transition(then, vec![]))
            }
            _ => Err(Refusal::new("unexpected", "This registration does not go on like that.")),
        }
    }
}

fn value(fields: &[Field], name: &str) -> Result<String, Refusal> {
    let field = fields.iter().find(|field| field.name == name);
    field.map(|field| field.value.clone()).ok_or_else(|| Refusal::new("missing", "A field is missing."))
}

fn text(to: String) -> Effect {
    Effect::SendText(Text { to, text: "hello".to_owned() })
}

fn transition(then: String, effects: Vec<Effect>) -> Transition {
    Transition { state: then.into_bytes(), effects, expires_in: 600_000 }
}
