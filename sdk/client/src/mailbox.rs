//! Automatic validation of a mail address: the client reads its user's mailbox itself (REG-8).
//!
//! While a registration waits for its link, [`validate`] looks into the mailbox by IMAP every few seconds, without
//! changing anything there: for mails of the tenant's sender to the address that is to be proven. The token stands in
//! the header `Switchhook-Token` and in the text. What the host refuses is a decoy and is passed over: anybody can send
//! mails with tokens that are another's, late or used. So nothing that comes by mail ends it.
//!
//! It is a race with the person, who may open the link first: whoever hears that the address is validated drops the
//! future. Its own token is then used, and so passed over like a decoy.
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

use self::imap::Place;
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
        let mails = self.unread(expected, &BTreeSet::new()).await?;
        Ok(mails.into_iter().flat_map(|mail| mail.tokens).collect())
    }

    /// Looks once at those that have not been read.
    async fn unread(
        &self,
        expected: Expected<'_>,
        read: &BTreeSet<Place>,
    ) -> Result<Vec<Found>, MailboxError> {
        let looked = timeout(limits::MAILBOX_LOOK, Box::pin(imap::mails(self, expected, read))).await;
        let mails = looked.unwrap_or(Err(MailboxError::Deadline))?.into_iter();
        let found = mails.map(|(place, mail)| Found { place, tokens: token::tokens(&mail, expected) });
        Ok(found.collect())
    }
}

/// A mail, and what may be its token.
struct Found {
    place: Place,
    tokens: Vec<String>,
}

/// Looks into the mailbox until the host has taken a token for this address, for at most [`limits::MAILBOX`].
///
/// A mailbox or a host that is away for a while is asked again; a mailbox that says no is not.
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
    let mut tried = Tried::default();
    loop {
        match mailbox.unread(expected, &tried.mails).await {
            Ok(found) => {
                if let Some(validated) = tried.post(client, expected, found).await? {
                    return Ok(validated);
                }
            }
            Err(MailboxError::Network(_) | MailboxError::Deadline) => {}
            Err(final_word) => return Err(final_word),
        }
        sleep(limits::MAILBOX_PACE).await;
    }
}

/// What has brought nothing.
#[derive(Default)]
struct Tried {
    tokens: BTreeSet<String>,
    mails: BTreeSet<Place>,
}

impl Tried {
    /// Posts what was found until the host takes a token, or cannot answer for now.
    async fn post(
        &mut self,
        client: &Client,
        expected: Expected<'_>,
        found: Vec<Found>,
    ) -> Result<Option<RegistrationProgress>, CallError> {
        for Found { place, tokens } in found {
            for token in tokens {
                if self.tokens.contains(&token) {
                    continue;
                }
                let request = RegisterLink { address: expected.address.clone(), token };
                match client.register_link(&request).await {
                    Ok(validated) => return Ok(Some(validated)),
                    Err(trouble) if passes(&trouble) => return Ok(None),
                    Err(CallError::Refused(_)) => drop(self.tokens.insert(request.token)),
                    Err(trouble) => return Err(trouble),
                }
            }
            self.mails.insert(place);
        }
        Ok(None)
    }
}

/// Whether the same token may be taken a little later.
fn passes(trouble: &CallError) -> bool {
    match trouble {
        CallError::ConnectionLost | CallError::Deadline => true,
        CallError::Refused(error) => error.code == ErrorCode::RateLimited || error.code.status() >= 500,
        CallError::Closed | CallError::Malformed => false,
    }
}

/// Masked: user and password are personal.
impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}
