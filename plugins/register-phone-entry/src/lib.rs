//! Registration by typing the number (REG-5).
//!
//! The device asks with the field `number`. The host texts a code there and compares what the user
//! types; the number is bound when the code was right, and the attempt refused when no try is left. Where the text could
//! not be sent the device hears `text-not-sent`.
//!
//! Configuration, each field with its default: `{"code_seconds": 300}`.

use serde::Deserialize;
use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Delivery, Effect, Event, Field, Proof, RegistrationMethod, Transition},
};

struct RegisterPhoneEntry;

switchhook_plugin::export!(RegistrationMethod: RegisterPhoneEntry);

impl RegistrationMethod for RegisterPhoneEntry {
    fn describe() -> Description {
        let summary = "Registers a number that its user types, by a code texted to it.";
        Description::new("register-phone-entry", env!("CARGO_PKG_VERSION"), summary)
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(|_| ())
    }

    fn step(context: &Context, state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        let settings =
            Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
        let number = state.and_then(|state| String::from_utf8(state).ok());
        match (event, number) {
            (Event::Begun(fields), None) => settings.send_code(&fields),
            (Event::CodeVerified(proven), Some(number)) if proven == number => Ok(bind(number)),
            (Event::CodeFailed(0), Some(_)) => {
                Err(Refusal::new("too-many-tries", "The code was wrong too often."))
            }
            (Event::CodeFailed(_), Some(number)) => Ok(settings.wait(number, vec![])),
            // A receipt may have been wrong: a code that comes all the same counts.
            (Event::TextSent(Delivery::Failed), Some(number)) => {
                Ok(settings.wait(number, vec![Effect::Notify("text-not-sent".to_owned())]))
            }
            (Event::TextSent(Delivery::Sent | Delivery::Delivered | Delivery::InDoubt), Some(number)) => {
                Ok(settings.wait(number, vec![]))
            }
            _ => Err(Refusal::new("unexpected", "This registration does not go on like that.")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// How long a code may be used: 60 to 3 600.
    code_seconds: u64,
}

impl Settings {
    fn read(configuration: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(configuration).map_err(|why| why.to_string())?;
        if !(60..=3600).contains(&settings.code_seconds) {
            return Err("code_seconds is 60 to 3600".to_owned());
        }
        Ok(settings)
    }

    fn send_code(&self, fields: &[Field]) -> Result<Transition, Refusal> {
        let Some(number) = fields.iter().find(|field| field.name == "number") else {
            return Err(Refusal::new("number-missing", "The field \"number\" is missing."));
        };
        let Some(number) = e164(&number.value) else {
            let message = "A number is '+', country code and number: 7 to 15 digits.";
            return Err(Refusal::new("invalid-number", message));
        };
        let proof = Proof { to: number.clone(), expires_in: self.code_seconds * 1000 };
        Ok(self.wait(number, vec![Effect::SendCode(proof)]))
    }

    fn wait(&self, number: String, effects: Vec<Effect>) -> Transition {
        Transition { state: number.into_bytes(), effects, expires_in: self.code_seconds * 1000 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { code_seconds: 300 }
    }
}

/// The number without what people type between its digits.
fn e164(typed: &str) -> Option<String> {
    let number: String = typed.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')).collect();
    let digits = number.strip_prefix('+')?;
    let fits = (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|c| c.is_ascii_digit());
    fits.then_some(number)
}

fn bind(number: String) -> Transition {
    let state = number.clone().into_bytes();
    let effects = vec![Effect::Bind(number), Effect::Finish];
    Transition { state, effects, expires_in: 1000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "+15550100";

    #[test]
    fn reg_5_a_typed_number_gets_a_code() {
        let transition = step(None, begun("number", "+1 (555) 01-00")).unwrap();

        let [Effect::SendCode(proof)] = &transition.effects[..] else { panic!("{transition:?}") };
        assert_eq!((&*proof.to, proof.expires_in), (NUMBER, 300_000));
    }

    #[test]
    fn reg_5_the_right_code_binds_the_number() {
        let bound = step(Some(waiting()), Event::CodeVerified(NUMBER.to_owned())).unwrap();

        assert!(matches!(
            &bound.effects[..],
            [Effect::Bind(number), Effect::Finish] if number == NUMBER
        ));
    }

    #[test]
    fn reg_5_without_the_right_code_nothing_is_bound() {
        assert!(step(Some(waiting()), Event::CodeFailed(2)).unwrap().effects.is_empty());
        assert_eq!(step(Some(waiting()), Event::CodeFailed(0)).unwrap_err().code, "too-many-tries");
        let other = Event::CodeVerified("+15550101".to_owned());
        assert_eq!(step(Some(waiting()), other).unwrap_err().code, "unexpected");
        let first = Event::CodeVerified(NUMBER.to_owned());
        assert_eq!(step(None, first).unwrap_err().code, "unexpected");
    }

    #[test]
    fn what_is_no_number_is_refused_by_name() {
        assert_eq!(step(None, begun("phone", NUMBER)).unwrap_err().code, "number-missing");
        for wrong in ["", "5550100", "+0155501000", "+12", "+1555010x"] {
            assert_eq!(step(None, begun("number", wrong)).unwrap_err().code, "invalid-number", "{wrong}");
        }
    }

    #[test]
    fn a_code_in_doubt_is_waited_for_and_one_that_failed_is_told() {
        let sent = |delivery| step(Some(waiting()), Event::TextSent(delivery));
        assert!(sent(Delivery::InDoubt).unwrap().effects.is_empty());
        let failed = sent(Delivery::Failed).unwrap();
        assert!(matches!(&failed.effects[..], [Effect::Notify(word)] if word == "text-not-sent"));
        assert_eq!(failed.state, waiting());
    }

    fn step(state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        RegisterPhoneEntry::step(&Context::example("{}"), state, event)
    }

    fn waiting() -> Vec<u8> {
        step(None, begun("number", NUMBER)).unwrap().state
    }

    fn begun(name: &str, value: &str) -> Event {
        Event::Begun(vec![Field { name: name.to_owned(), value: value.to_owned() }])
    }
}
