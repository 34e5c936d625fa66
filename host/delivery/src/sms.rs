//! The generic SMS gateway: one signed HTTP request a text.
//!
//! `POST` to the gateway's send URL, JSON `{"id","to","text"}` and, for a registration,
//! `"signature":{"signature","push_token","device"}` (REG-3), signed like what the gateway posts to
//! the host ([`switchhook_core::transit`]). The id is the same on every try, so that a gateway that
//! keeps ids sends once.

use std::fmt;

use reqwest::{Client, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use switchhook_core::{
    registration::perform::{OutgoingSignature, OutgoingText},
    transit::{SIGNATURE_HEADER, sign},
};
use switchhook_protocol::{id::MessageId, time::Timestamp};

use crate::limits;

/// Sends texts to gateways.
#[derive(Debug, Clone)]
pub struct SmsSender {
    http: Client,
}

/// Where a gateway takes texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Transit {
    /// Its address.
    pub send_url: String,
    /// The secret that requests are signed under.
    pub secret: Vec<u8>,
}

/// Masked: it holds a secret.
impl fmt::Debug for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transit").field("send_url", &self.send_url).finish_non_exhaustive()
    }
}

/// What the gateway knows of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It took it.
    Taken,
    /// It refused it, with this status.
    Refused(u16),
    /// It never saw it: no connection.
    NotReached,
    /// Nobody can say.
    InDoubt,
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a MessageId,
    to: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a OutgoingSignature>,
}

impl SmsSender {
    /// A sender with connections of its own; no redirect is followed, since the secret signs for one address.
    pub fn new() -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(limits::CONNECT)
            .timeout(limits::ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("switchhook")
            .build()?;
        Ok(Self { http })
    }

    /// Hands a text to a gateway.
    pub async fn send(&self, transit: &Transit, id: &MessageId, text: &OutgoingText, now: Timestamp) -> Sent {
        let body = Body { id, to: text.to.reveal(), text: &text.text, signature: text.signature.as_ref() };
        let Ok(body) = serde_json::to_vec(&body) else { return Sent::NotReached };
        let request = self
            .http
            .post(&transit.send_url)
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, sign(&transit.secret, &body, now))
            .body(body);
        match request.send().await {
            Ok(answer) => told(answer.status()),
            Err(error) if error.is_connect() || error.is_builder() => Sent::NotReached,
            Err(_) => Sent::InDoubt,
        }
    }
}

/// A server error may come after the text went out.
fn told(status: StatusCode) -> Sent {
    if status.is_success() {
        Sent::Taken
    } else if status.is_server_error() {
        Sent::InDoubt
    } else {
        Sent::Refused(status.as_u16())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_error_leaves_a_text_in_doubt_and_a_refusal_does_not() {
        assert_eq!(told(StatusCode::ACCEPTED), Sent::Taken);
        assert_eq!(told(StatusCode::BAD_GATEWAY), Sent::InDoubt);
        assert_eq!(told(StatusCode::UNPROCESSABLE_ENTITY), Sent::Refused(422));
        assert_eq!(told(StatusCode::TEMPORARY_REDIRECT), Sent::Refused(307));
    }
}
