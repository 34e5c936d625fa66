//! One look into a mailbox: sign in, search, fetch, sign out.

use std::{collections::BTreeSet, sync::Arc};

use async_imap::{Session, error::Error};
use futures_util::TryStreamExt as _;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Expected, Mailbox, MailboxError};
use crate::{connection::dial::web_tls, limits};

/// A mail's place in its mailbox: which numbering of the mailbox counts (UIDVALIDITY), and its number (UID).
pub(super) type Place = (Option<u32>, u32);

/// The newest mails that the server finds for sender and address, the newest first, but for those that were read.
pub(super) async fn mails(
    mailbox: &Mailbox,
    expected: Expected<'_>,
    read: &BTreeSet<Place>,
) -> Result<Vec<(Place, Vec<u8>)>, MailboxError> {
    let mut session = session(mailbox).await?;
    // Only reads: nothing is marked as seen.
    let numbering = session.examine(&mailbox.folder).await?.uid_validity;
    let mut found: Vec<u32> = session.uid_search(query(expected)).await?.into_iter().collect();
    found.retain(|uid| !read.contains(&(numbering, *uid)));
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.truncate(limits::MAILBOX_NEWEST);
    let mut mails = Vec::new();
    for uid in found {
        let part = format!("(UID BODY.PEEK[]<0.{}>)", limits::MAIL);
        let fetched: Vec<_> = session.uid_fetch(uid.to_string(), part).await?.try_collect().await?;
        let bodies = fetched.iter().filter_map(|mail| mail.body());
        mails.extend(bodies.map(|body| ((numbering, uid), body.to_vec())));
    }
    // It has said what was asked for; whether it hears the goodbye is all the same.
    drop(session.logout().await);
    Ok(mails)
}

async fn session(mailbox: &Mailbox) -> Result<Session<TlsStream<TcpStream>>, MailboxError> {
    let network = |error: std::io::Error| MailboxError::Network(error.to_string());
    let tls = match &mailbox.tls {
        Some(tls) => Arc::clone(tls),
        None => web_tls().map_err(|error| MailboxError::Network(error.to_string()))?,
    };
    let name = ServerName::try_from(mailbox.host.clone())
        .map_err(|error| MailboxError::Network(error.to_string()))?;
    let stream = TcpStream::connect((mailbox.host.as_str(), mailbox.port)).await.map_err(network)?;
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(network)?;
    let mut client = async_imap::Client::new(stream);
    client.read_response().await.map_err(network)?;
    let signed_in = client.login(&mailbox.user, mailbox.password.as_str()).await;
    signed_in.map_err(|(error, _)| error.into())
}

/// Mails of the sender to the address. What is not plain ASCII is left to whoever reads the mails.
fn query(expected: Expected<'_>) -> String {
    let part = |key: &str, address: &str| {
        let plain = address.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        if plain { format!("{key} \"{address}\"") } else { "ALL".to_owned() }
    };
    format!("{} {}", part("FROM", expected.sender.reveal()), part("TO", expected.address.reveal()))
}

impl From<Error> for MailboxError {
    fn from(error: Error) -> Self {
        let words = error.to_string();
        let says_no = matches!(error, Error::Bad(_) | Error::No(_) | Error::Validate(_));
        if says_no { Self::Refused(words) } else { Self::Network(words) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_names_sender_and_address_and_no_quote_ends_it() {
        let (sender, address) =
            ("no-reply@acme.example".parse().unwrap(), "bob@example.com".parse().unwrap());
        let expected = Expected { sender: &sender, address: &address };
        assert_eq!(query(expected), "FROM \"no-reply@acme.example\" TO \"bob@example.com\"");
        let strange = "b\u{f6}b@example.com".parse().unwrap();
        let expected = Expected { sender: &sender, address: &strange };
        assert_eq!(query(expected), "FROM \"no-reply@acme.example\" ALL");
    }
}
