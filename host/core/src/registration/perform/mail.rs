//! Mails: what a method says, or a link.
//!
//! What a link's mail says is the tenant's template, put around the token when the mail is sent: the outbox holds no
//! more than the token.

use alloc::string::String;
use core::{fmt, time::Duration};

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode, time::Timestamp};

use super::{Performed, Performing, entry};
use crate::{
    policy::registration::{Mail, Proof},
    registration::{code::About, link},
    row::{OutboxEntry, OutboxKind, Secret},
    seal::KeyRing,
};

/// A mail on its way to the tenant's mail server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingMail {
    /// To whom.
    pub to: EndpointId,
    /// What it says.
    pub content: MailContent,
}

/// What a mail says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailContent {
    /// The method's own words.
    Text {
        /// One line.
        subject: String,
        /// As it is.
        text: String,
    },
    /// The tenant's template with this token of a link (REG-7).
    Link {
        /// The token.
        token: String,
    },
}

/// Masked: it holds an address and a secret.
impl fmt::Debug for OutgoingMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMail").field("to", &self.to).finish_non_exhaustive()
    }
}

/// Masked: it holds words for a person, or a secret.
impl fmt::Debug for MailContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text { .. } => "Text(…)",
            Self::Link { .. } => "Link(…)",
        })
    }
}

impl Performing<'_> {
    pub(super) fn send_mail(
        &self,
        wanted: &Mail,
        performed: &mut Performed,
        rng: &mut impl CryptoRng,
    ) -> Result<(), ErrorCode> {
        if !self.mails {
            return Err(ErrorCode::NoMailServer);
        }
        let content = MailContent::Text { subject: wanted.subject.clone(), text: wanted.text.clone() };
        let mail = OutgoingMail { to: wanted.to.clone(), content };
        performed.outbox.push(self.outgoing(OutboxKind::Mail, None, &mail, rng)?);
        Ok(())
    }

    pub(super) fn send_link(
        &self,
        wanted: &Proof,
        performed: &mut Performed,
        rng: &mut impl CryptoRng,
    ) -> Result<(), ErrorCode> {
        if !self.mails {
            return Err(ErrorCode::NoMailServer);
        }
        let about = (self.attempt, Some(self.device), &wanted.to);
        let (mail, secret) = link_by_mail(self.keys, about, (self.now, wanted.expires_in), rng)?;
        performed.outbox.push(mail);
        performed.secrets.push(secret);
        Ok(())
    }
}

/// A mail with the token of a link, and what the token is checked by.
pub fn link_by_mail(
    keys: &KeyRing,
    about: About<'_>,
    life: (Timestamp, Duration),
    rng: &mut impl CryptoRng,
) -> Result<(OutboxEntry, Secret), ErrorCode> {
    let ((attempt, _, to), (now, _)) = (about, life);
    let made = link::make(keys, about, life, rng);
    let mail = OutgoingMail { to: to.clone(), content: MailContent::Link { token: made.token } };
    let entry = entry(keys, (attempt, now), (OutboxKind::Mail, None), &mail, rng)?;
    Ok((entry, made.record))
}
