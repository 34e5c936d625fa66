//! Texts a code only to where codes come back from: a fine guest, for the facts.
//!
//! Numbers rented by the block are texted for the share of the price that their owner gets: many texts, no code that
//! comes back. A beginning of numbers with three texts and no proof is texted no more.

use switchhook_plugin::{
    Context, Description, Refusal, facts,
    registration::{Effect, Event, Field, Proof, RegistrationMethod, Transition},
};

struct Guest;

switchhook_plugin::export!(RegistrationMethod: Guest);

const LIFE: u64 = 600_000;

impl RegistrationMethod for Guest {
    fn describe() -> Description {
        Description::new("asks-conversions", "1.0.0", "Texts a code only to where codes come back from.")
    }

    fn step(_: &Context, state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        match (event, state) {
            (Event::Begun(fields), None) => {
                let number = number_of(fields)?;
                let lately = facts::conversion_of(&number);
                if lately.sent >= 3 && lately.proven == 0 {
                    let said = format!("{} sent, {} delivered, none proven.", lately.sent, lately.delivered);
                    return Err(Refusal::new("not-converting", &said));
                }
                Ok(transition(vec![Effect::SendCode(Proof { to: number, expires_in: LIFE })]))
            }
            (Event::CodeVerified(number), _) => Ok(transition(vec![Effect::Bind(number), Effect::Finish])),
            _ => Ok(transition(vec![])),
        }
    }
}

fn number_of(fields: Vec<Field>) -> Result<String, Refusal> {
    let number = fields.into_iter().find(|field| field.name == "number");
    number.map(|field| field.value).ok_or_else(|| Refusal::new("missing", "A field is missing."))
}

fn transition(effects: Vec<Effect>) -> Transition {
    Transition { state: vec![], effects, expires_in: LIFE }
}
