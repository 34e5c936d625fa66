//! The generic gateway: one signed HTTP request a text.
//!
//! `POST` to the gateway's send URL, JSON `{"id","to","text"}` and, for a registration,
//! `"signature":{"signature","push_token","device"}` (REG-3), signed like what the gateway posts to
//! the host ([`switchhook_core::transit`]). The id is the same on every try, so that a gateway that
//! keeps ids sends once.

use std::fmt;

use reqwest::{Client, header::CONTENT_TYPE};
use serde::Serialize;
use switchhook_core::{
    registration::perform::{OutgoingSignature, OutgoingText},
    transit::{SIGNATURE_HEADER, sign},
};
use switchhook_protocol::{id::MessageId, time::Timestamp};

use super::{Sent, not_answered, told};

/// Where a generic gateway takes texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its address.
    pub send_url: String,
    /// The secret that requests are signed under.
    pub secret: Vec<u8>,
}

/// Masked: it holds a secret.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("send_url", &self.send_url).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a MessageId,
    to: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a OutgoingSignature>,
}

impl Webhook {
    pub(super) async fn send(
        &self,
        http: &Client,
        id: &MessageId,
        text: &OutgoingText,
        now: Timestamp,
    ) -> Sent {
        let body = Body { id, to: text.to.reveal(), text: &text.text, signature: text.signature.as_ref() };
        let Ok(body) = serde_json::to_vec(&body) else { return Sent::NotReached };
        let request = http
            .post(&self.send_url)
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, sign(&self.secret, &body, now))
            .body(body);
        match request.send().await {
            Ok(answer) => told(answer.status()),
            Err(error) => not_answered(&error),
        }
    }
}
