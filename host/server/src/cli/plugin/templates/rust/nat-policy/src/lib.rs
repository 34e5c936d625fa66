//! Lets two devices try to reach each other directly, and gives them a relay when that takes too long.
//!
//! Configuration, with its default: `{"patience_ms": 2000}`.

use serde::Deserialize;
use switchhook_plugin::{
    Context, Description, Refusal,
    nat::{NatPolicy, Patience, Question, RelayHint, Verdict},
};

struct DirectFirst;

switchhook_plugin::export!(NatPolicy: DirectFirst);

impl NatPolicy for DirectFirst {
    fn describe() -> Description {
        let summary = "Tries directly, then gives a relay.";
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), summary)
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(drop)
    }

    fn decide(context: &Context, question: &Question) -> Result<Verdict, Refusal> {
        let settings =
            Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
        if question.attempt.direct_failures > 0 || question.attempt.relay_requested {
            return Ok(Verdict::Relay(RelayHint { region: Some(question.a.region.clone()) }));
        }
        Ok(Verdict::DirectThenRelay(Patience { milliseconds: settings.patience_ms }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// 100 to 30 000.
    patience_ms: u32,
}

impl Settings {
    fn read(configuration: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(configuration).map_err(|why| why.to_string())?;
        if !(100..=30_000).contains(&settings.patience_ms) {
            return Err("patience_ms is 100 to 30000".into());
        }
        Ok(settings)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { patience_ms: 2_000 }
    }
}
