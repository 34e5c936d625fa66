//! What a tenant can configure.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// How long a direct path is tried that is likely to work, before the relay: 100 to 30 000.
    pub(crate) patience_ms: u32,
    /// Below so many of a hundred a direct path is not tried: 0 to 100.
    pub(crate) least_percent: u32,
    /// One in so many sessions tries nevertheless, for networks change: 2 to 10 000; 0 is never.
    pub(crate) one_in: u64,
}

impl Settings {
    pub(crate) fn read(configuration: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(configuration).map_err(|why| why.to_string())?;
        if !(100..=30_000).contains(&settings.patience_ms) {
            return Err("patience_ms is 100 to 30000".to_owned());
        }
        if settings.least_percent > 100 {
            return Err("least_percent is 0 to 100".to_owned());
        }
        if settings.one_in != 0 && !(2..=10_000).contains(&settings.one_in) {
            return Err("one_in is 2 to 10000, or 0 for never".to_owned());
        }
        Ok(settings)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { patience_ms: 3_000, least_percent: 20, one_in: 20 }
    }
}
