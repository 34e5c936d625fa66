//! Somebody on the way to a mail server, who puts words of their own before the hidden conversation (RFC 3207 §6).

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use switchhook_tests::{certificates::Authority, smtp::Smtp, waiting::until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::mail::{begin, host, install};

const BOB: &str = "bob@example.com";

/// What the server is made to say before it has said anything in secret.
const INJECTED: &[u8] = b"250 mail.example\r\n250 fine\r\n250 fine\r\n354 go on\r\n250 taken\r\n";

#[tokio::test]
async fn reg_7_what_was_said_before_tls_is_no_answer_after_it() -> Result<()> {
    let test = "reg_7_what_was_said_before_tls_is_no_answer_after_it";
    let authority = Authority::new("Mail")?;
    let certified = authority.server()?;
    let Some(mut smtp) = Smtp::with(test, ("starttls", Some(&certified)), None).await? else { return Ok(()) };
    let host = host(Some(&authority.pem())).await?;
    install(&host.admin).await?;
    let phone = host.stranger().await?;
    let port = u16::try_from(smtp.settings()["port"].as_u64().context("no port")?)?;

    // Whoever only passes on what is said changes nothing.
    for (injected, outcome) in [(&b""[..], "sent"), (INJECTED, "failed")] {
        let between = Between::open(port, injected).await?;
        smtp.connect_with(&host.admin, |settings| settings["port"] = json!(between.port)).await?;
        begin(&phone, BOB).await??;
        let metric = format!("switchhook_mails_total{{outcome=\"{outcome}\"}}");
        until(outcome, async || host.admin.metric(&metric).await).await?;
    }
    ensure!(smtp.next_mail().await?.secure && smtp.unread() == 0, "the second was taken");
    Ok(())
}

/// Stands between host and mail server; it ends when dropped.
struct Between {
    port: u16,
    _standing: AbortOnDropHandle<()>,
}

impl Between {
    async fn open(server: u16, injected: &'static [u8]) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let standing = TaskTracker::new().spawn(async move {
            while let Ok((host, _)) = listener.accept().await {
                // A conversation that fails is what the test is about.
                Box::pin(meddle(host, server, injected)).await.unwrap_or_default();
            }
        });
        Ok(Self { port, _standing: AbortOnDropHandle::new(standing) })
    }
}

/// Passes on what is said, and after the server's word to begin with TLS, in the same breath, what it never said.
async fn meddle(mut host: TcpStream, server: u16, injected: &[u8]) -> Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
    let (mut asked, mut answered) = ([0; 4096], [0; 4096]);
    let mut begins = false;
    loop {
        tokio::select! {
            read = host.read(&mut asked) => {
                let asked = asked.get(..read?).filter(|asked| !asked.is_empty()).context("it left")?;
                begins = asked.starts_with(b"STARTTLS");
                server.write_all(asked).await?;
            }
            read = server.read(&mut answered) => {
                let answered = answered.get(..read?).filter(|answered| !answered.is_empty()).context("it left")?;
                let injected = if begins { injected } else { b"" };
                host.write_all(&[answered, injected].concat()).await?;
                if begins {
                    copy_bidirectional(&mut host, &mut server).await?;
                    return Ok(());
                }
            }
        }
    }
}
