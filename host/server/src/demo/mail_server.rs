//! A mail server that keeps what it is given: the least that SMTP asks for (RFC 5321 §4.5.1), for this machine alone.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::{
    io::{self, AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::phone::in_time;

/// Mails that wait for somebody to read them.
const MAILS: usize = 16;

/// A running mail server with one mailbox.
pub(super) struct MailServer {
    /// Where it takes mails.
    pub(super) addr: SocketAddr,
    mails: Mutex<mpsc::Receiver<String>>,
}

impl MailServer {
    /// Opens it on a free port, until told to stop.
    pub(super) async fn open(tasks: &TaskTracker, stop: &CancellationToken) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (sender, mails) = mpsc::channel(MAILS);
        let stop = stop.clone();
        tasks.spawn(async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                // Whoever speaks otherwise is not listened to.
                stop.run_until_cancelled(converse(stream, &sender)).await.map(Result::unwrap_or_default);
            }
        });
        Ok(Self { addr, mails: Mutex::new(mails) })
    }

    /// The next mail: headers and text.
    pub(super) async fn next_mail(&self) -> anyhow::Result<String> {
        let mut mails = self.mails.lock().await;
        in_time("the mail", mails.recv()).await?.context("the mail server has ended")
    }
}

/// From greeting to goodbye.
async fn converse(mut stream: TcpStream, mails: &mpsc::Sender<String>) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 mail.demo\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" | "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 mail.demo",
            "DATA" => {
                write.write_all(b"354 up to a lone dot\r\n").await?;
                let taken = mails.try_send(message(&mut lines).await?).is_ok();
                if taken { "250 taken" } else { "452 the mailbox is full" }
            }
            "QUIT" => return write.write_all(b"221 goodbye\r\n").await,
            _ => "502 not here",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// Up to the line with a dot alone; a dot that was doubled is one (§4.5.2).
async fn message(lines: &mut Lines<impl AsyncBufRead + Unpin>) -> io::Result<String> {
    let mut message = String::new();
    while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
        message.push('\n');
    }
    Ok(message)
}
