//! Registers a number that its user types, by a code that the host texts to it and compares.
//!
//! Configuration, with its default: `{"code_seconds": 300}`.

use serde::Deserialize;
use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Effect, Event, Field, Proof, RegistrationMethod, Transition},
};

struct CodeByText;

switchhook_plugin::export!(RegistrationMethod: CodeByText);

impl RegistrationMethod for CodeByText {
    fn describe() -> Description {
        let summary = "Registers a number that its user types, by a code texted to it.";
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), summary)
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(drop)
    }

    // The state is the number that the code was sent to.
    fn step(context: &Context, state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        let settings =
            Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
        let number = state.and_then(|state| String::from_utf8(state).ok());
        match (event, number) {
            (Event::Begun(fields), None) => settings.send_code(&fields),
            (Event::CodeVerified(proven), Some(number)) if proven == number => {
                Ok(settings.then(number.clone(), vec![Effect::Bind(number), Effect::Finish]))
            }
            (Event::CodeFailed(0), Some(_)) => {
                Err(Refusal::new("too-many-tries", "The code was wrong too often."))
            }
            (Event::CodeFailed(_) | Event::TextSent(_), Some(number)) => Ok(settings.then(number, vec![])),
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
            return Err("code_seconds is 60 to 3600".into());
        }
        Ok(settings)
    }

    fn send_code(&self, fields: &[Field]) -> Result<Transition, Refusal> {
        let Some(number) = fields.iter().find(|field| field.name == "number") else {
            return Err(Refusal::new("number-missing", "The field \"number\" is missing."));
        };
        let to = number.value.clone();
        let proof = Proof { to: to.clone(), expires_in: self.code_seconds * 1000 };
        Ok(self.then(to, vec![Effect::SendCode(proof)]))
    }

    fn then(&self, number: String, effects: Vec<Effect>) -> Transition {
        Transition { state: number.into_bytes(), effects, expires_in: self.code_seconds * 1000 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { code_seconds: 300 }
    }
}
