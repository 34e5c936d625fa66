//! TLS on the port of HTTP and WebSocket: TLS 1.2 and 1.3, ALPN `http/1.1`.
//!
//! One configuration for the life of the process, so that sessions resume over a renewal; what
//! changes is the certificate behind it. Its files are read again every few seconds and when the
//! operator asks (SIGHUP). Certificate and key count together: a pair that does not match, as while
//! one of them is being written, leaves the former in use. Connections that are open stay.
//!
//! Strangers pay before they cost: a handshake has a deadline, and only so many are unfinished at
//! once, fewer still with one address; who comes beyond that is closed before anything is computed for it.

mod asking;
mod certificate;

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::{
    net::TcpStream,
    sync::{Notify, Semaphore},
    time::{self, MissedTickBehavior},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub use self::certificate::CertificateError;
use self::{asking::OfAnyAuthority, certificate::Certificate};
use crate::{
    causes::Causes,
    limits,
    metrics::{Handshake, Metrics},
    settings,
};

/// The only protocol behind this port.
const ALPN: &[u8] = b"http/1.1";

/// TLS of the port.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    /// Places for handshakes that are not finished.
    unfinished: Semaphore,
    /// The operator asks for another look at the files.
    asked: Notify,
}

impl Tls {
    /// Reads the files of the settings.
    pub(crate) async fn new(settings: &settings::Tls) -> Result<Self, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificate = Arc::new(Certificate::read(settings.clone(), Arc::clone(&provider)).await?);
        let asking: Arc<dyn ClientCertVerifier> = if settings.client_certificates {
            Arc::new(OfAnyAuthority::new(&provider))
        } else {
            WebPkiClientVerifier::no_client_auth()
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(asking)
            .with_cert_resolver(Arc::<Certificate>::clone(&certificate));
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
            unfinished: Semaphore::new(limits::UNFINISHED_HANDSHAKES),
            asked: Notify::new(),
        })
    }

    /// The same certificate for another port, which speaks another protocol and asks for no certificates.
    pub(crate) fn for_protocol(&self, alpn: &[u8]) -> Result<Arc<ServerConfig>, CertificateError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Certificate>::clone(&self.certificate));
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(Arc::new(config))
    }

    /// Leads a stranger through the handshake; none if it does not end well in time.
    pub(crate) async fn accept(
        &self,
        metrics: &Metrics,
        stop: &CancellationToken,
        stream: TcpStream,
    ) -> Option<TlsStream<TcpStream>> {
        let Ok(_place) = self.unfinished.try_acquire() else {
            metrics.handshake(Handshake::Refused);
            return None;
        };
        let shaken = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            shaken = time::timeout(limits::HANDSHAKE, self.acceptor.accept(stream)) => shaken,
        };
        let (outcome, stream) = match shaken {
            Ok(Ok(stream)) => (Handshake::Done, Some(stream)),
            Ok(Err(error)) => {
                debug!(%error, "a TLS handshake failed");
                (Handshake::Failed, None)
            }
            Err(_) => (Handshake::Late, None),
        };
        metrics.handshake(outcome);
        stream
    }

    /// Lets the files be looked at soon.
    pub(crate) fn reload(&self) {
        self.asked.notify_one();
    }

    /// Keeps the certificate that of the files.
    pub(crate) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut again = time::interval(limits::LOOK_AT_CERTIFICATE);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        again.reset();
        // The same trouble is told once, unless somebody asks.
        let mut told = String::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.asked.notified() => told.clear(),
                _ = again.tick() => {}
            }
            match self.certificate.read_again().await {
                Ok(true) => info!("the certificate is replaced"),
                Ok(false) => told.clear(),
                Err(error) => {
                    let trouble = Causes(&error).to_string();
                    if trouble != told {
                        warn!(error = trouble, "the certificate in use stays");
                        told = trouble;
                    }
                }
            }
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tempfile::TempDir;
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_closed_when_its_time_is_over() {
        let (_folder, tls) = tls().await;
        let (mut client, server) = connected().await;

        assert!(tls.accept(&Metrics::default(), &CancellationToken::new(), server).await.is_none());

        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn who_comes_while_too_many_are_unfinished_is_closed_at_once() {
        let (_folder, tls) = tls().await;
        let _all =
            tls.unfinished.acquire_many(u32::try_from(limits::UNFINISHED_HANDSHAKES).unwrap()).await.unwrap();
        let (mut client, server) = connected().await;

        assert!(tls.accept(&Metrics::default(), &CancellationToken::new(), server).await.is_none());

        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_file_without_certificate_or_with_anothers_key_is_none() {
        let (folder, tls) = tls().await;
        let files = files(&folder);

        fs::write(&files.key, self_signed().signing_key.serialize_pem()).unwrap();
        let wrong = tls.certificate.read_again().await;
        assert!(matches!(wrong, Err(CertificateError::Pair(_))), "{wrong:?}");
        fs::write(&files.certificate, "not PEM").unwrap();
        let wrong = tls.certificate.read_again().await;
        assert!(matches!(wrong, Err(CertificateError::Pem(..))), "{wrong:?}");
        fs::remove_file(&files.certificate).unwrap();
        let wrong = tls.certificate.read_again().await;
        assert!(matches!(wrong, Err(CertificateError::Read(..))), "{wrong:?}");
    }

    async fn tls() -> (TempDir, Tls) {
        let folder = tempfile::tempdir().unwrap();
        let (files, made) = (files(&folder), self_signed());
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        let tls = Tls::new(&files).await.unwrap();
        (folder, tls)
    }

    fn files(folder: &TempDir) -> settings::Tls {
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|file| folder.path().join(file));
        settings::Tls { certificate, key, client_certificates: false }
    }

    fn self_signed() -> CertifiedKey<rcgen::KeyPair> {
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
    }

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, server) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (client.unwrap(), server.unwrap().0)
    }
}
