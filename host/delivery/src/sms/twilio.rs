//! Twilio's Messages resource, and what speaks like it.
//!
//! `POST {api_url}/2010-04-01/Accounts/{account}/Messages.json`, a form with `To`, `Body`, `From` or
//! `MessagingServiceSid`, and `StatusCallback`; HTTP Basic with account and auth token. What took the text
//! answers 201 and its own id of it, `sid`. The resource has no idempotency key: a text is sent once, or
//! in doubt.

use std::fmt;

use form_urlencoded::Serializer;
use reqwest::{Client, header::CONTENT_TYPE};
use serde::Deserialize;
use switchhook_core::{registration::perform::OutgoingText, row::TwilioAccount, transit::is_message_id};

use super::{Sent, not_answered, told};
use crate::outbound::read;

/// Where an account at Twilio takes texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Twilio {
    /// The account.
    pub account: TwilioAccount,
    /// Its auth token.
    pub auth_token: String,
    /// The number that texts come from, unless the account has a messaging service for them.
    pub from: String,
    /// Where it tells what becomes of the text.
    pub status_url: Option<String>,
}

/// Masked: it holds a secret.
impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twilio").field("account", &self.account).finish_non_exhaustive()
    }
}

/// What is read of the answer.
#[derive(Deserialize)]
struct Message {
    sid: String,
}

impl Twilio {
    pub(super) async fn send(&self, http: &Client, text: &OutgoingText) -> Sent {
        let request = http
            .post(self.url())
            .basic_auth(&self.account.account, Some(&self.auth_token))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(self.form(text));
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return not_answered(&error),
        };
        if !answer.status().is_success() {
            return told(answer.status());
        }
        let body = read(answer).await.unwrap_or_default();
        Sent::Taken { reference: reference(&body) }
    }

    pub(super) fn url(&self) -> String {
        let TwilioAccount { account, api_url, .. } = &self.account;
        format!("{api_url}/2010-04-01/Accounts/{account}/Messages.json")
    }

    fn form(&self, text: &OutgoingText) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("To", text.to.reveal()).append_pair("Body", &text.text);
        match &self.account.messaging_service {
            Some(service) => form.append_pair("MessagingServiceSid", service),
            None => form.append_pair("From", &self.from),
        };
        if let Some(url) = &self.status_url {
            form.append_pair("StatusCallback", url);
        }
        form.finish()
    }
}

/// What the provider calls the text, if it says so in a way that can be kept.
fn reference(body: &[u8]) -> Option<String> {
    let Message { sid } = serde_json::from_slice(body).ok()?;
    is_message_id(&sid).then_some(sid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_names_a_text_in_a_way_that_can_be_kept() {
        assert_eq!(reference(br#"{"sid":"SM1","status":"queued"}"#).unwrap(), "SM1");
        assert_eq!(reference(br#"{"sid":""}"#), None);
        assert_eq!(reference(br#"{"sid":"S\u0000M"}"#), None);
        assert_eq!(reference(format!(r#"{{"sid":"{}"}}"#, "x".repeat(129)).as_bytes()), None);
        assert_eq!(reference(b"taken"), None);
    }
}
