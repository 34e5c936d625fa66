//! Mailboxes of the sandbox, and the mail server that fills them: the least that SMTP asks for (RFC 5321 §4.5.1).
//!
//! It takes mails for every address and sends none on; whoever is on this machine reads them. A mailbox exists as soon
//! as it is written to.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use switchhook_protocol::endpoint::EndpointId;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::limits;

/// Running mailboxes.
#[derive(Debug, Clone, Default)]
pub struct Mailboxes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    kept: Mutex<Kept>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    /// Of all mailboxes.
    count: usize,
    of: HashMap<EndpointId, Vec<String>>,
}

impl Mailboxes {
    /// Takes mails until told to stop.
    pub fn serve(&self, listener: TcpListener, tasks: &TaskTracker, stop: CancellationToken) {
        let (mailboxes, tracked) = (self.clone(), tasks.clone());
        tasks.spawn(async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                let talk = mailboxes.clone().talk(stream);
                tracked.spawn(stop.clone().run_until_cancelled_owned(talk));
            }
        });
    }

    /// The next mail to an address, of which so many were read; waits for it. Headers and text.
    pub async fn next_mail(&self, to: &EndpointId, read: usize) -> String {
        loop {
            let arrived = self.0.arrived.notified();
            if let Some(mail) = self.kept().of.get(to).and_then(|mails| mails.get(read)) {
                return mail.clone();
            }
            arrived.await;
        }
    }

    /// All mails to an address, oldest first.
    pub fn mails(&self, to: &EndpointId) -> Vec<String> {
        self.kept().of.get(to).cloned().unwrap_or_default()
    }

    /// Where a person reads them.
    pub(crate) fn router(&self) -> Router {
        Router::new().route("/mailboxes/{address}/mails", get(mailbox)).with_state(self.clone())
    }

    /// A conversation that ends in time.
    async fn talk(self, stream: TcpStream) {
        let talk = timeout(limits::SANDBOX_CONVERSATION, self.converse(stream));
        if let Ok(Err(error)) = talk.await {
            tracing::debug!(%error, "a conversation with the sandbox's mail server broke off");
        }
    }

    /// From greeting to goodbye.
    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        let (read, mut write) = stream.split();
        let mut lines = BufReader::new(read.take(limits::SANDBOX_MAIL)).lines();
        let mut to: Vec<EndpointId> = Vec::new();
        write.write_all(b"220 mail.sandbox\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" => "250-mail.sandbox\r\n250-8BITMIME\r\n250 SMTPUTF8",
                "HELO" | "NOOP" => "250 mail.sandbox",
                "MAIL" | "RSET" => {
                    to.clear();
                    "250 fine"
                }
                "RCPT" => match recipient(&line) {
                    Some(address) if to.len() < limits::SANDBOX_RECIPIENTS => {
                        to.push(address);
                        "250 fine"
                    }
                    Some(_) => "452 too many recipients",
                    None => "553 not a mail address",
                },
                "DATA" if to.is_empty() => "503 to whom?",
                "DATA" => {
                    write.write_all(b"354 up to a lone dot\r\n").await?;
                    let mail = message(&mut lines).await?;
                    if self.take(&to, &mail) { "250 taken" } else { "452 the mailboxes are full" }
                }
                "QUIT" => return write.write_all(b"221 goodbye\r\n").await,
                _ => "502 not here",
            };
            write.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(())
    }

    /// Puts a mail into each mailbox; false if there is no room.
    fn take(&self, to: &[EndpointId], mail: &str) -> bool {
        let mut kept = self.kept();
        if kept.count + to.len() > limits::SANDBOX_MAILS {
            return false;
        }
        kept.count += to.len();
        for address in to {
            kept.of.entry(address.clone()).or_default().push(mail.to_owned());
        }
        drop(kept);
        self.0.arrived.notify_waiters();
        true
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address in `RCPT TO:<address>` (§4.1.1.3).
fn recipient(line: &str) -> Option<EndpointId> {
    let (_, rest) = line.split_once('<')?;
    let (address, _) = rest.rsplit_once('>')?;
    address.parse().ok().filter(EndpointId::is_mail_address)
}

/// Up to the line with a dot alone; a dot that was doubled is one (§4.5.2). A mail that ends otherwise is none.
async fn message(lines: &mut Lines<impl AsyncBufRead + Unpin>) -> io::Result<String> {
    let mut message = String::new();
    while let Some(line) = lines.next_line().await? {
        if line == "." {
            return Ok(message);
        }
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
        message.push('\n');
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// A person looks into a mailbox.
async fn mailbox(
    State(mailboxes): State<Mailboxes>,
    Path(address): Path<String>,
) -> Result<Json<Vec<String>>, StatusCode> {
    let address = address.parse().or(Err(StatusCode::BAD_REQUEST))?;
    Ok(Json(mailboxes.mails(&address)))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// What the server answers to all of these lines, and the mailboxes.
    async fn said(lines: &str) -> (Vec<String>, Mailboxes) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (mailboxes, tasks, stop) = (Mailboxes::default(), TaskTracker::new(), CancellationToken::new());
        mailboxes.serve(listener, &tasks, stop.clone());
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(lines.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        let codes = answers.lines().map(|line| line.get(..3).unwrap().to_owned()).collect();
        (codes, mailboxes)
    }

    #[tokio::test]
    async fn reg_7_a_mail_lies_in_the_mailbox_of_each_recipient() {
        let (codes, mailboxes) = said(
            "HELO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<Bob@Example.org>\r\nRCPT TO:<bob>\r\n\
             RCPT TO:<anne@example.org> NOTIFY=NEVER\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
        )
        .await;
        assert_eq!(codes, ["220", "250", "250", "250", "553", "250", "354", "250", "221"]);
        for to in ["Bob@example.org", "anne@example.org"] {
            assert_eq!(mailboxes.next_mail(&to.parse().unwrap(), 0).await, "Subject: x\n\n.dot\n");
        }
        assert!(mailboxes.mails(&"carl@example.org".parse().unwrap()).is_empty());
    }

    #[tokio::test]
    async fn a_mail_without_recipient_or_end_is_none() {
        let (codes, _) = said("DATA\r\nSTARTTLS\r\n").await;
        assert_eq!(codes, ["220", "503", "502"]);
        let (codes, mailboxes) = said("RCPT TO:<bob@example.org>\r\nDATA\r\nhalf\r\n").await;
        assert_eq!(codes, ["220", "250", "354"]);
        assert!(mailboxes.mails(&"bob@example.org".parse().unwrap()).is_empty());
    }

    #[test]
    fn mailboxes_have_room_for_so_many_mails() {
        let (mailboxes, bob) = (Mailboxes::default(), ["bob@example.org".parse().unwrap()]);
        for _ in 0..limits::SANDBOX_MAILS {
            assert!(mailboxes.take(&bob, "hello"));
        }
        assert!(!mailboxes.take(&bob, "hello"));
    }
}
