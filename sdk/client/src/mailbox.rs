//! Automatic validation of a mail address: the client reads its user's mailbox itself (REG-8).
//!
//! While a registration waits for its link, [`validate`] looks into the mailbox by IMAP every few seconds, without
//! changing anything there: for mails of the tenant's sender to the address that is to be proven. The token stands in
//! the header `Switchhook-Token` and in the text. What the host refuses as another's is a decoy and is passed over.
//!
//! It is a race with the person, who may open the link first: whoever hears that the address is validated drops the
//! future, and a token that was used by then is answered `link-used`.
//!
//! A mailbox is the user's own, and its server may still be anybody's: TLS always, deadlines for each look, the newest
//! mails only, and of each a bounded beginning.

mod imap;
pub(crate) mod token;

use core::fmt;
use std::{collections::BTreeSet, sync::Arc};

use rustls::ClientConfig;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    registration::{RegisterLink, RegistrationProgress},
};
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::{
    client::{CallError, Client},
    limits,
};

/// A mailbox at an IMAP server.
#[derive(Clone)]
#[non_exhaustive]
pub struct Mailbox {
    /// The server's name.
    pub host: String,
    /// Its port for IMAP over TLS.
    pub port: u16,
    /// Who signs in.
    pub user: String,
    /// By which password.
    pub password: Zeroizing<String>,
    /// Where mails arrive.
    pub folder: String,
    /// TLS; without it, whom browsers trust.
    pub tls: Option<Arc<ClientConfig>>,
}

/// The mail that is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Whom the tenant's mails come from.
    pub sender: &'a EndpointId,
    /// The address that is to be proven.
    pub address: &'a EndpointId,
}

/// Why an address was not validated by its mailbox.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// The mailbox is not reached, or its connection broke.
    #[error("the mailbox is not reached: {0}")]
    Network(String),
    /// The server says no: mostly to user or password.
    #[error("the mailbox says no: {0}")]
    Refused(String),
    /// One look took too long.
    #[error("the mailbox did not answer in time")]
    Deadline,
    /// The mail did not come in time.
    #[error("the mail did not come in time")]
    NoMail,
    /// The host took no token.
    #[error(transparent)]
    Host(#[from] CallError),
}

impl Mailbox {
    /// The inbox of a user, by IMAP over TLS at port 993.
    pub fn new(host: impl Into<String>, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: 993,
            user: user.into(),
            password: Zeroizing::new(password.into()),
            folder: "INBOX".to_owned(),
            tls: None,
        }
    }

    /// At another port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// In another folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<String>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Trusts whom this says.
    #[must_use]
    pub fn tls(mut self, tls: Arc<ClientConfig>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Looks once; the tokens that stand in the mails expected, the newest first.
    pub async fn look(&self, expected: Expected<'_>) -> Result<Vec<String>, MailboxError> {
        let looked = timeout(limits::MAILBOX_LOOK, Box::pin(imap::mails(self, expected))).await;
        let mails = looked.unwrap_or(Err(MailboxError::Deadline))?;
        Ok(mails.iter().flat_map(|mail| token::tokens(mail, expected)).collect())
    }
}

/// Looks into the mailbox until the host has taken a token for this address, for at most [`limits::MAILBOX`].
///
/// A mailbox that is away for a while is asked again; one that says no is not.
pub async fn validate(
    client: &Client,
    mailbox: &Mailbox,
    expected: Expected<'_>,
) -> Result<RegistrationProgress, MailboxError> {
    let looking = timeout(limits::MAILBOX, Box::pin(look_until_taken(client, mailbox, expected))).await;
    looking.unwrap_or(Err(MailboxError::NoMail))
}

async fn look_until_taken(
    client: &Client,
    mailbox: &Mailbox,
    expected: Expected<'_>,
) -> Result<RegistrationProgress, MailboxError> {
    let mut decoys = BTreeSet::new();
    loop {
        match mailbox.look(expected).await {
            Ok(tokens) => {
                for token in tokens {
                    if decoys.contains(&token) {
                        continue;
                    }
                    let request = RegisterLink { address: expected.address.clone(), token };
                    match client.register_link(&request).await {
                        Err(CallError::Refused(error)) if is_another(error.code) => {
                            decoys.insert(request.token);
                        }
                        answer => return Ok(answer?),
                    }
                }
            }
            Err(MailboxError::Network(_) | MailboxError::Deadline) => {}
            Err(final_word) => return Err(final_word),
        }
        sleep(limits::MAILBOX_PACE).await;
    }
}

/// Not the token that is waited for: another's, or one of an earlier try.
const fn is_another(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::RegistrationMismatch | ErrorCode::RegistrationExpired)
}

/// Masked: user and password are personal.
impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}
