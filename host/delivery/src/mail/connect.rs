//! The connection to a mail server: to a judged address, hidden as the tenant says, signed in.

use std::net::SocketAddr;

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, CertificateStore, TlsParameters},
    extension::ClientId,
};
use switchhook_core::row::{MailServer, Security};
use tokio::{net::TcpStream, time::timeout};
use tracing::{info, warn};

use super::{MailSender, line_by_line::LineByLine, told};
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
        let hello = hello(server);
        match server.security {
            Security::Tls => {
                let (tls, patience) = (Some(self.tls(&server.host)?), Some(limits::CONNECT));
                reached(AsyncSmtpConnection::connect_tokio1(addr, patience, &hello, tls, None).await)
            }
            Security::StartTls => {
                let tls = self.tls(&server.host)?;
                let mut connection = in_clear(addr, &hello).await?;
                told(connection.starttls(tls, &hello).await)?;
                Ok(connection)
            }
            Security::Plain => in_clear(addr, &hello).await,
        }
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

/// A connection on which nothing is hidden yet.
async fn in_clear(addr: SocketAddr, hello: &ClientId) -> Result<AsyncSmtpConnection, Sent> {
    let connected = match timeout(limits::CONNECT, TcpStream::connect(addr)).await {
        Ok(connected) => connected,
        Err(late) => Err(late.into()),
    };
    let stream = connected.map_err(|error| {
        info!(%error, "a mail server is not reached");
        Sent::NotReached
    })?;
    let stream = Box::new(LineByLine::new(stream));
    reached(AsyncSmtpConnection::connect_with_transport(stream, hello).await)
}

/// The server's greeting may be its no.
fn reached(connect: Result<AsyncSmtpConnection, Error>) -> Result<AsyncSmtpConnection, Sent> {
    connect.map_err(|error| {
        info!(%error, "a mail server is not reached");
        error.status().map_or(Sent::NotReached, |status| Sent::Refused(status.into()))
    })
}

/// The sender's domain: what this machine calls itself is nobody's business.
fn hello(server: &MailServer) -> ClientId {
    server.sender.mail_domain().map_or_else(ClientId::default, |domain| ClientId::Domain(domain.to_owned()))
}
