//! What a tenant configures.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// How long a link may be opened: 5 to 1 440.
    pub(crate) link_minutes: u64,
    /// How long a device that signed in speaks for the profile: 1 to 400.
    pub(crate) profile_days: u64,
    /// How long an activated address may be registered: 1 to 400.
    pub(crate) address_days: u64,
    /// How long it may be registered again: 1 to 400.
    pub(crate) login_days: u64,
}

impl Settings {
    pub(crate) fn read(configuration: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(configuration).map_err(|why| why.to_string())?;
        if !(5..=1440).contains(&settings.link_minutes) {
            return Err("link_minutes is 5 to 1440".to_owned());
        }
        let days = [settings.profile_days, settings.address_days, settings.login_days];
        if !days.iter().all(|days| (1..=400).contains(days)) {
            return Err("profile_days, address_days and login_days are 1 to 400".to_owned());
        }
        Ok(settings)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { link_minutes: 60, profile_days: 30, address_days: 30, login_days: 365 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_bounds() {
        assert!(Settings::read("{}").is_ok());
        for wrong in
            [r#"{"link_minutes": 4}"#, r#"{"login_days": 401}"#, r#"{"profile_days": 0}"#, r#"{"other": 1}"#]
        {
            assert!(Settings::read(wrong).is_err(), "{wrong}");
        }
    }
}
