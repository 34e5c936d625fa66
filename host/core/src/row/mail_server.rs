//! The mail server of a tenant.

use alloc::string::String;

use serde::{Deserialize, Serialize};
use switchhook_protocol::endpoint::EndpointId;

use crate::mail::Template;

/// Where a tenant's mails leave, and what they say. The password lies beside it, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is hidden.
    pub security: Security,
    /// Who signs in; none: nobody has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whom mails come from.
    pub sender: EndpointId,
    /// How mail programs name the sender; may be empty.
    #[serde(default)]
    pub sender_name: String,
    /// What a mail with a link says.
    #[serde(default)]
    pub template: Template,
}

/// How a connection to a mail server is hidden.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    /// TLS from the first byte (RFC 8314), mostly at port 465.
    #[default]
    Tls,
    /// TLS after a word in clear; without it nothing is sent. Mostly at port 587.
    #[serde(rename = "starttls")]
    StartTls,
    /// Not at all: only inside the operator's own networks.
    Plain,
}
