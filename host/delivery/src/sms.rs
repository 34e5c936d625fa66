//! Texts to SMS gateways that are spoken to over HTTP: [`webhook`] and [`twilio`].

mod twilio;
mod webhook;

use reqwest::{Client, StatusCode};
use switchhook_core::registration::perform::OutgoingText;
use switchhook_protocol::{id::MessageId, time::Timestamp};
use tracing::warn;

pub use self::{twilio::Twilio, webhook::Webhook};
use crate::{
    limits,
    outbound::{refused, resolver::Judged},
    peers::GatewayPeers,
};

/// Sends texts to gateways.
#[derive(Debug, Clone)]
pub struct SmsSender {
    http: Client,
    peers: GatewayPeers,
}

/// Where a gateway takes texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transit {
    /// The generic one.
    Webhook(Webhook),
    /// Twilio, or what speaks like it.
    Twilio(Twilio),
}

/// What the gateway knows of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It took it.
    Taken {
        /// What it calls it in its receipts.
        reference: Option<String>,
    },
    /// It refused it, with this status of its protocol.
    Refused(u16),
    /// It never saw it: no connection, or none that the operator's rules allow.
    NotReached,
    /// Nobody can say.
    InDoubt,
}

impl SmsSender {
    /// A sender with connections of its own, only to where gateways may be. No redirect is followed, since the
    /// secret signs for one address; no proxy of the environment is used, which would resolve names by its own
    /// rules.
    pub fn new(peers: GatewayPeers) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(limits::CONNECT)
            .timeout(limits::ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Judged::new(peers.policy().clone()))
            .no_proxy()
            .user_agent("switchhook")
            .build()?;
        Ok(Self { http, peers })
    }

    /// Hands a text to a gateway.
    pub async fn send(&self, transit: &Transit, id: &MessageId, text: &OutgoingText, now: Timestamp) -> Sent {
        if let Err(refused) = self.peers.judge_url(&transit.url()) {
            warn!(text.id = %id, %refused, "a gateway is where none may be");
            return Sent::NotReached;
        }
        match transit {
            Transit::Webhook(webhook) => webhook.send(&self.http, id, text, now).await,
            Transit::Twilio(twilio) => twilio.send(&self.http, text).await,
        }
    }
}

impl Transit {
    /// What is asked.
    fn url(&self) -> String {
        match self {
            Self::Webhook(webhook) => webhook.send_url.clone(),
            Self::Twilio(twilio) => twilio.url(),
        }
    }
}

/// A server error may come after the text went out.
fn told(status: StatusCode) -> Sent {
    if status.is_success() {
        Sent::Taken { reference: None }
    } else if status.is_server_error() {
        Sent::InDoubt
    } else {
        Sent::Refused(status.as_u16())
    }
}

/// Without a connection the gateway has seen nothing; what broke off later it may have seen.
fn not_answered(error: &reqwest::Error) -> Sent {
    if let Some(reason) = refused(error) {
        warn!(%reason, "a gateway's name leads where none may be");
        return Sent::NotReached;
    }
    if error.is_connect() || error.is_builder() { Sent::NotReached } else { Sent::InDoubt }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_error_leaves_a_text_in_doubt_and_a_refusal_does_not() {
        assert_eq!(told(StatusCode::ACCEPTED), Sent::Taken { reference: None });
        assert_eq!(told(StatusCode::BAD_GATEWAY), Sent::InDoubt);
        assert_eq!(told(StatusCode::UNPROCESSABLE_ENTITY), Sent::Refused(422));
        assert_eq!(told(StatusCode::TEMPORARY_REDIRECT), Sent::Refused(307));
    }
}
