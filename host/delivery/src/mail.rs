//! Mails to a tenant's mail server, by SMTP (RFC 5321).
//!
//! One connection a mail: a tenant's mails are few and far between, so that a kept connection would mostly have been
//! ended by the server, and only the end of DATA would tell. What matters is the moment at which the server takes the
//! message: whatever fails before the last dot is sent has sent nothing, whatever is silent after it leaves the mail
//! in doubt. So the commands are given here one by one.
//!
//! Mails are plain text: the tenant writes one text, no mail program hides or rewrites its link, and nothing has to
//! be escaped.

mod connect;
mod line_by_line;
mod message;

use std::time::Duration;

use lettre::{
    Message,
    transport::smtp::{
        Error,
        client::{AsyncSmtpConnection, Certificate},
        commands::{Data, Mail, Rcpt},
        extension::{Extension, MailParameter},
    },
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use switchhook_core::row::MailServer;
use tokio::time::timeout;
use tracing::{info, warn};

pub use self::message::NewMail;
use crate::{limits, peers::GatewayPeers, sms::Sent};

/// Header of a mail with a link's token, for clients that read mail themselves (REG-8).
pub const TOKEN_HEADER: &str = "Switchhook-Token";

/// Sends mails by tenants' mail servers.
#[derive(Debug, Clone)]
pub struct MailSender {
    peers: GatewayPeers,
    authorities: Option<Certificate>,
    taken_within: Duration,
}

/// A file that is none of certificates.
#[derive(Debug, thiserror::Error)]
#[error("not a file of PEM certificates")]
pub struct NotCertificates;

/// Status of a mailbox that the server has no words for (RFC 5321 §4.2.3, RFC 6531).
const NAME_NOT_ALLOWED: u16 = 553;

impl MailSender {
    /// A sender that connects only to where gateways may be. Servers are vouched for by the public authorities, and by
    /// these (PEM).
    pub fn new(peers: GatewayPeers, authorities: Option<&[u8]>) -> Result<Self, NotCertificates> {
        let authorities = authorities.map(certificates).transpose()?;
        Ok(Self { peers, authorities, taken_within: limits::MAIL_TAKEN })
    }

    /// A mail is in doubt whose server has not said for so long that it has taken it.
    #[must_use]
    pub fn taken_within(mut self, patience: Duration) -> Self {
        self.taken_within = patience;
        self
    }

    /// Hands a mail to a mail server.
    pub async fn send(&self, server: &MailServer, password: Option<&str>, mail: &NewMail<'_>) -> Sent {
        let Some(message) = message::message(server, mail) else {
            warn!(mail.id = %mail.id, "a mail cannot be written: its sender, recipient or subject is none");
            return Sent::Refused(NAME_NOT_ALLOWED);
        };
        let begun = timeout(limits::MAIL_BEGUN, self.begin(server, password, &message)).await;
        let mut connection = match begun {
            Ok(Ok(connection)) => connection,
            Ok(Err(not_begun)) => return not_begun,
            Err(_) => {
                info!(mail.id = %mail.id, "a mail server did not answer in time");
                return Sent::NotReached;
            }
        };
        let taken = timeout(self.taken_within, connection.message(&message.formatted())).await;
        let sent = match taken {
            Ok(Ok(_)) => Sent::Taken { reference: None },
            Ok(Err(error)) => refused(&error).unwrap_or(Sent::InDoubt),
            Err(_) => {
                info!(mail.id = %mail.id, "a mail server has not said in time that it took a mail");
                Sent::InDoubt
            }
        };
        if matches!(sent, Sent::Taken { .. }) {
            // It has the mail; whether it hears the goodbye is all the same.
            drop(timeout(limits::MAIL_GOODBYE, connection.quit()).await);
        }
        sent
    }

    /// A connection on which the server waits for the message.
    async fn begin(
        &self,
        server: &MailServer,
        password: Option<&str>,
        message: &Message,
    ) -> Result<AsyncSmtpConnection, Sent> {
        let mut connection = self.connect(server, password).await?;
        let envelope = message.envelope();
        let mut parameters = Vec::new();
        let mut addresses = envelope.to().iter().chain(envelope.from());
        if addresses.any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Sent::Refused(NAME_NOT_ALLOWED));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        told(connection.command(Mail::new(envelope.from().cloned(), parameters)).await)?;
        for to in envelope.to() {
            told(connection.command(Rcpt::new(to.clone(), vec![])).await)?;
        }
        told(connection.command(Data).await)?;
        Ok(connection)
    }
}

/// All certificates of a file.
fn certificates(pem: &[u8]) -> Result<Certificate, NotCertificates> {
    let some = CertificateDer::pem_slice_iter(pem).next().is_some();
    let all = Certificate::from_pem(pem).ok().filter(|_| some);
    all.ok_or(NotCertificates)
}

/// What an answer before the message says: without a good one nothing is sent.
fn told<T>(answer: Result<T, Error>) -> Result<T, Sent> {
    answer.map_err(|error| refused(&error).unwrap_or(Sent::NotReached))
}

/// The server's own "no".
fn refused(error: &Error) -> Option<Sent> {
    let status = error.status().map(u16::from)?;
    info!(status, %error, "a mail server refuses a mail");
    Some(Sent::Refused(status))
}
