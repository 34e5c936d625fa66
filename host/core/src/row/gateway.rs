//! SMS gateways of a tenant, and what their messages were answered with.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{id::GatewayId, time::Timestamp};

/// A configured SMS gateway of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its name.
    pub id: GatewayId,
    /// The number or short code that devices text to, and that texts come from.
    pub number: String,
    /// How it is spoken to.
    pub provider: Provider,
    /// Beginnings of the numbers that it serves, each with its plus; none: all.
    pub serves: Vec<String>,
    /// What the provider and the host share, sealed.
    pub secret: Vec<u8>,
}

/// How a gateway is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Provider {
    /// The generic gateway: JSON, signed under the secret in both directions.
    Webhook {
        /// Where the host asks it to send a text.
        send_url: String,
    },
    /// Twilio, or what speaks like it; the secret is the account's auth token.
    Twilio(TwilioAccount),
    /// An SMSC, by SMPP 3.4; the secret is the password.
    Smpp(SmppAccount),
}

/// An account at an SMSC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmppAccount {
    /// Host and port.
    pub address: String,
    /// Whether the connection is TLS.
    #[serde(default)]
    pub tls: bool,
    /// Who binds.
    pub system_id: String,
    /// What kind of system binds; mostly empty.
    #[serde(default)]
    pub system_type: String,
    /// Whether a sender whose type of number is unknown is an international number without its plus. Otherwise it
    /// may be a national one, of whom nobody can say whose.
    #[serde(default)]
    pub unknown_is_international: bool,
    /// Submissions that may be unanswered at once, on each node.
    #[serde(default = "SmppAccount::window")]
    pub window: u16,
}

impl SmppAccount {
    /// What every SMSC allows.
    pub const fn window() -> u16 {
        10
    }
}

impl Provider {
    /// Whether every node keeps a connection to it.
    pub const fn is_kept(&self) -> bool {
        match self {
            Self::Smpp(_) => true,
            Self::Webhook { .. } | Self::Twilio(_) => false,
        }
    }

    /// Whether what is sent to this one goes where it went to that one, in the same name and as well hidden: the
    /// secret of that one may be used for this one.
    pub fn leads_where(&self, that: &Self) -> bool {
        match (self, that) {
            (Self::Webhook { send_url }, Self::Webhook { send_url: that }) => send_url == that,
            (Self::Twilio(this), Self::Twilio(that)) => {
                (&this.account, &this.api_url) == (&that.account, &that.api_url)
            }
            (Self::Smpp(this), Self::Smpp(that)) => {
                (&this.address, this.tls, &this.system_id) == (&that.address, that.tls, &that.system_id)
            }
            (Self::Webhook { .. } | Self::Twilio(_) | Self::Smpp(_), _) => false,
        }
    }
}

/// An account at Twilio, or at what speaks like it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwilioAccount {
    /// The account's SID.
    pub account: String,
    /// Where its REST API is.
    #[serde(default = "TwilioAccount::api_url")]
    pub api_url: String,
    /// SID of a messaging service that texts go out by; otherwise they come from the gateway's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messaging_service: Option<String>,
}

impl TwilioAccount {
    /// Twilio's own.
    pub fn api_url() -> String {
        String::from("https://api.twilio.com")
    }
}

/// What a gateway's message was answered with; a repeat gets the same (REG-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitAnswer {
    /// The gateway.
    pub gateway: GatewayId,
    /// The gateway's id of the message.
    pub message: String,
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    /// HTTP status of the answer.
    pub status: u16,
    /// Body of the answer.
    pub answer: String,
    /// When.
    pub at: Timestamp,
}

/// A part of a long text that came through a gateway, until the others have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPart {
    /// The gateway.
    pub gateway: GatewayId,
    /// A keyed hash of what the parts of one text have in common.
    pub message: String,
    /// Which part this is, from 1.
    pub number: u8,
    /// What it says, sealed.
    pub part: Vec<u8>,
    /// When it came.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    fn smpp(address: &str, tls: bool, window: u16) -> Provider {
        let (system_id, system_type) = ("switchhook".to_owned(), String::new());
        Provider::Smpp(SmppAccount {
            address: address.to_owned(),
            tls,
            system_id,
            system_type,
            unknown_is_international: false,
            window,
        })
    }

    fn twilio(account: &str, api_url: &str, service: Option<&str>) -> Provider {
        let (account, api_url) = (account.to_owned(), api_url.to_owned());
        let messaging_service = service.map(str::to_owned);
        Provider::Twilio(TwilioAccount { account, api_url, messaging_service })
    }

    #[test]
    fn a_secret_stays_with_its_address_and_its_account() {
        let webhook = |url: &str| Provider::Webhook { send_url: url.to_owned() };
        assert!(webhook("https://a").leads_where(&webhook("https://a")));
        assert!(!webhook("https://b").leads_where(&webhook("https://a")));
        let smsc = smpp("a:2775", true, 1);
        assert!(smsc.leads_where(&smpp("a:2775", true, 9)));
        assert!(!smsc.leads_where(&smpp("b:2775", true, 1)));
        assert!(!smsc.leads_where(&smpp("a:2775", false, 1)), "a password is not sent in clear");
        let account = twilio("AC0", "https://a", None);
        assert!(account.leads_where(&twilio("AC0", "https://a", Some("MG0"))));
        assert!(!account.leads_where(&twilio("AC1", "https://a", None)));
        assert!(!account.leads_where(&twilio("AC0", "https://b", None)));
        assert!(!account.leads_where(&smsc) && !account.leads_where(&webhook("https://a")));
    }
}
