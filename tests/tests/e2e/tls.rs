//! TLS on the port of HTTP and WebSocket.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchhook_tests::{certificates::Authority, process::Process, python::Python, raw::Raw, waiting::until};
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_switchhook-under-test");

/// A server with TLS, and the authority that certified it.
pub(crate) struct Secured {
    process: Process,
    pub(crate) authority: Authority,
    pub(crate) folder: TempDir,
}

impl Secured {
    pub(crate) async fn start() -> Result<Self> {
        Self::with("").await
    }

    /// One that asks clients for certificates.
    pub(crate) async fn asking() -> Result<Self> {
        Self::with("client_certificates = true\n").await
    }

    async fn with(more: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new("the first authority")?;
        let files = authority.server()?.write(folder.path(), "server")?;
        let settings = folder.path().join("settings.toml");
        fs::write(&settings, files.settings() + more)?;
        let options = ["--settings".as_ref(), settings.as_os_str()];
        let process = Process::with(PROGRAM, &folder.path().join("data"), options).await?;
        Ok(Self { process, authority, folder })
    }

    pub(crate) fn port(&self) -> u16 {
        self.process.http.port()
    }

    async fn socket(&self, authority: &Authority) -> Result<Raw> {
        Raw::over_tls(self.port(), "default", &authority.pem()).await
    }

    /// What a client of others is asked to do.
    pub(crate) fn asked(&self, authority: &Authority) -> Result<Value> {
        let file: PathBuf = self.folder.path().join("authority.pem");
        fs::write(&file, authority.pem())?;
        let url = format!("wss://localhost:{}/v1/default/connect", self.port());
        Ok(json!({ "url": url, "authority": file }))
    }
}

#[tokio::test]
async fn a_client_of_others_opens_a_socket_over_tls_1_2_and_1_3() -> Result<()> {
    let Some(python) = Python::of("a_client_of_others_opens_a_socket_over_tls") else { return Ok(()) };
    let secured = Secured::start().await?;
    let mut asked = secured.asked(&secured.authority)?;
    for (version, spoken) in [("TLSv1_2", "TLSv1.2"), ("TLSv1_3", "TLSv1.3")] {
        asked["version"] = json!(version);
        let said = python.run("tls_client.py", &asked).await?;
        assert_eq!(said["message"]["type"], "challenge", "{said}");
        assert_eq!((&said["version"], &said["alpn"]), (&json!(spoken), &json!("http/1.1")));
    }

    // Whoever offers only what is not spoken here is refused, as RFC 7301 says.
    asked["alpn"] = json!(["h2"]);
    let said = python.run("tls_client.py", &asked).await?;
    assert!(refused(&said).contains("no application protocol"), "{said}");

    let stranger = secured.asked(&Authority::new("another authority")?)?;
    let said = python.run("tls_client.py", &stranger).await?;
    assert!(refused(&said).contains("certificate verify failed"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_request_in_the_clear_is_not_answered_where_there_is_tls() -> Result<()> {
    let secured = Secured::start().await?;
    assert!(Raw::connect(secured.process.http, "default").await.is_err());
    assert_eq!(secured.socket(&secured.authority).await?.message().await?["type"], "challenge");
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_those_who_come_and_open_sockets_stay() -> Result<()> {
    let secured = Secured::start().await?;
    let mut open = secured.socket(&secured.authority).await?;
    open.challenge().await?;
    let second = Authority::new("the second authority")?;
    assert!(secured.socket(&second).await.is_err(), "it is not used yet");

    second.server()?.write(secured.folder.path(), "server")?;
    secured.process.hang_up()?;

    let come = until("the new certificate", async || Ok(secured.socket(&second).await.ok())).await;
    come.context("the new certificate is not shown")?.challenge().await?;
    assert!(secured.socket(&secured.authority).await.is_err(), "the former is shown no more");
    open.say(r#"{"type":"ping"}"#).await?;
    assert_eq!(open.message().await?["type"], "pong");
    Ok(())
}

fn refused(said: &Value) -> &str {
    said["error"].as_str().unwrap_or_default()
}
