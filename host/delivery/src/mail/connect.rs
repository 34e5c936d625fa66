//! The connection to a mail server: to a judged address, hidden as the tenant says, signed in.

use std::net::SocketAddr;

use lettre::transport::smtp::{
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, CertificateStore, TlsParameters},
    extension::ClientId,
};
use switchhook_core::row::{MailServer, Security};
use tracing::{info, warn};

use super::{MailSender, told};
use crate::{limits, sms::Sent};

impl MailSender {
    pub(super) async fn connect(
        &self,
        server: &MailServer,
        password: Option<&str>,
    ) -> Result<AsyncSmtpConnection, Sent> {
        let mut connection = self.reach(server).await?;
        if let (Some(user), Some(password)) = (&server.user, password) {
            let credentials = Credentials::new(user.clone(), password.to_owned());
            told(connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await)?;
        }
        Ok(connection)
    }

    /// Connects to the first of its addresses that answers.
    async fn reach(&self, server: &MailServer) -> Result<AsyncSmtpConnection, Sent> {
        let found = match self.peers.resolve_mail_server(server).await {
            Ok(found) => found,
            Err(reason) => {
                warn!(%reason, "a mail server's name leads where none may be, or nowhere");
                return Err(Sent::NotReached);
            }
        };
        let mut not_reached = Sent::NotReached;
        for addr in found {
            match self.open(server, addr).await {
                Ok(connection) => return Ok(connection),
                Err(reason) => not_reached = reason,
            }
        }
        Err(not_reached)
    }

    async fn open(&self, server: &MailServer, addr: SocketAddr) -> Result<AsyncSmtpConnection, Sent> {
        let tls = match server.security {
            Security::Tls | Security::StartTls => Some(self.tls(&server.host)?),
            Security::Plain => None,
        };
        let (first, later) = match server.security {
            Security::StartTls => (None, tls),
            Security::Tls | Security::Plain => (tls, None),
        };
        let hello = hello(server);
        let connect =
            AsyncSmtpConnection::connect_tokio1(addr, Some(limits::CONNECT), &hello, first, None).await;
        let mut connection = connect.map_err(|error| {
            info!(%error, "a mail server is not reached");
            error.status().map_or(Sent::NotReached, |status| Sent::Refused(status.into()))
        })?;
        if let Some(tls) = later {
            told(connection.starttls(tls, &hello).await)?;
        }
        Ok(connection)
    }

    /// Proves the server's name by the public authorities, and the operator's.
    fn tls(&self, host: &str) -> Result<TlsParameters, Sent> {
        let name = host.trim_matches(['[', ']']).to_owned();
        let mut parameters = TlsParameters::builder(name).certificate_store(CertificateStore::WebpkiRoots);
        if let Some(authority) = &self.authorities {
            parameters = parameters.add_root_certificate(authority.clone());
        }
        parameters.build_rustls().or(Err(Sent::NotReached))
    }
}

/// The sender's domain: what this machine calls itself is nobody's business.
fn hello(server: &MailServer) -> ClientId {
    server.sender.mail_domain().map_or_else(ClientId::default, |domain| ClientId::Domain(domain.to_owned()))
}
