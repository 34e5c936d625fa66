//! A provider as an administrator writes it: a word that nobody knows is a mistake. What is stored is read without that
//! strictness, since another version of the server may have stored more.

use serde::Deserialize;
use switchhook_core::row::{Provider, SmppAccount, TwilioAccount};

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Told {
    Webhook { send_url: String },
    Twilio(ToldTwilio),
    Smpp(ToldSmpp),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToldTwilio {
    account: String,
    #[serde(default = "TwilioAccount::api_url")]
    api_url: String,
    #[serde(default)]
    messaging_service: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToldSmpp {
    address: String,
    #[serde(default)]
    tls: bool,
    system_id: String,
    #[serde(default)]
    system_type: String,
    #[serde(default)]
    unknown_is_international: bool,
    #[serde(default = "SmppAccount::window")]
    window: u16,
}

impl From<Told> for Provider {
    fn from(told: Told) -> Self {
        match told {
            Told::Webhook { send_url } => Self::Webhook { send_url },
            Told::Twilio(ToldTwilio { account, api_url, messaging_service }) => {
                Self::Twilio(TwilioAccount { account, api_url, messaging_service })
            }
            Told::Smpp(told) => {
                let ToldSmpp { address, tls, system_id, system_type, unknown_is_international, window } =
                    told;
                Self::Smpp(SmppAccount {
                    address,
                    tls,
                    system_id,
                    system_type,
                    unknown_is_international,
                    window,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stored_can_be_told_and_a_word_that_nobody_knows_is_refused() {
        let account = SmppAccount {
            address: "smsc.example:2775".to_owned(),
            tls: true,
            system_id: "switchhook".to_owned(),
            system_type: String::new(),
            unknown_is_international: true,
            window: 3,
        };
        let stored = Provider::Smpp(account);
        let mut written = serde_json::to_value(&stored).unwrap();
        let told: Told = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(Provider::from(told), stored);

        written["of_a_later_version"] = json!(true);
        serde_json::from_value::<Told>(written.clone()).unwrap_err();
        assert_eq!(serde_json::from_value::<Provider>(written).unwrap(), stored);
    }
}
