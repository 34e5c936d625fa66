//! What a tenant can configure.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// How long a direct path is tried before the relay: 100 to 30 000.
    pub(crate) patience_ms: u32,
    /// After this many failed direct attempts the answer is relay: 1 to 5.
    pub(crate) attempts: u8,
    /// Whether ports are guessed at random where that can win.
    pub(crate) guess_ports: bool,
    /// How long a direct path is tried where they are: 100 to 30 000.
    pub(crate) guessing_patience_ms: u32,
}

impl Settings {
    pub(crate) fn read(configuration: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(configuration).map_err(|why| why.to_string())?;
        if !(100..=30_000).contains(&settings.patience_ms) {
            return Err("patience_ms is 100 to 30000".to_owned());
        }
        if !(100..=30_000).contains(&settings.guessing_patience_ms) {
            return Err("guessing_patience_ms is 100 to 30000".to_owned());
        }
        if !(1..=5).contains(&settings.attempts) {
            return Err("attempts is 1 to 5".to_owned());
        }
        Ok(settings)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { patience_ms: 3000, attempts: 1, guess_ports: true, guessing_patience_ms: 5000 }
    }
}
