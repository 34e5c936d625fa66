//! The ways to a relay host: in datagrams, over TCP, over TLS (REL-3).

use core::net::SocketAddr;
use std::{io, sync::Arc};

use rustls::{ClientConfig as TlsConfig, pki_types::ServerName};
use switchhook_protocol::relay::{RelayCredentials, RelayServer, Transport};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{RelayError, carrier::Carrier, stream::Messages};
use crate::{
    connection::dial::{DialError, web_tls},
    limits,
    network::Network,
};

/// One way, and whom it trusts.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) server: RelayServer,
    /// Over TLS; those whom browsers trust, if none.
    pub(super) tls: Option<Arc<TlsConfig>>,
}

/// TURN in the handshake of TLS (RFC 7443).
const ALPN: &[u8] = b"stun.turn";

/// The ways of these credentials that this version knows.
pub(super) fn ways(credentials: &RelayCredentials) -> Vec<RelayServer> {
    let known = |server: &&RelayServer| server.transport != Transport::Unknown;
    let ways: Vec<_> = credentials.servers.iter().filter(known).take(limits::RELAY_WAYS).cloned().collect();
    let only = RelayServer { transport: Transport::Udp, addr: credentials.server, name: None };
    if ways.is_empty() { vec![only] } else { ways }
}

impl Way {
    pub(super) async fn open(&self, network: &dyn Network) -> Result<Carrier, RelayError> {
        let relay = self.server.addr;
        Ok(match self.server.transport {
            Transport::Udp => Carrier::Datagrams { socket: network.bind()?, relay },
            Transport::Tcp => Carrier::Stream(Messages::new(Box::new(connect(network, relay).await?))),
            Transport::Tls => Carrier::Stream(Messages::new(Box::new(self.connect_by_tls(network).await?))),
            Transport::Unknown => return Err(io::Error::from(io::ErrorKind::Unsupported).into()),
        })
    }

    async fn connect_by_tls(&self, network: &dyn Network) -> Result<TlsStream<TcpStream>, RelayError> {
        let Self { server, tls } = self;
        let name = server.name.clone().unwrap_or_else(|| server.addr.ip().to_string());
        let name = ServerName::try_from(name).map_err(|error| RelayError::Tls(error.to_string()))?;
        let tls = match tls {
            Some(tls) => Arc::clone(tls),
            None => web_tls().map_err(|error: DialError| RelayError::Tls(error.to_string()))?,
        };
        let mut config = TlsConfig::clone(&tls);
        config.alpn_protocols = vec![ALPN.to_vec()];
        let stream = connect(network, server.addr).await?;
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        shaken.map_err(|error| RelayError::Tls(error.to_string()))
    }
}

async fn connect(network: &dyn Network, addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = network.connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(servers: &str) -> RelayCredentials {
        let text = format!(
            r#"{{"server":"192.0.2.10:3478","servers":{servers},"realm":"r","username":"u","password":"p","expires_in_ms":1}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn rel_3_a_transport_of_a_later_version_is_passed_over_and_takes_no_others_place() {
        let strange = r#"{"transport":"quic","addr":"192.0.2.10:443"}"#;
        let known = r#"{"transport":"tcp","addr":"192.0.2.10:3478"}"#;
        let many = [strange; limits::RELAY_WAYS].join(",");

        let mixed = ways(&credentials(&format!("[{many},{known}]")));

        assert_eq!(mixed.iter().map(|way| way.transport).collect::<Vec<_>>(), [Transport::Tcp]);
        // UDP is what every relay host has.
        let plain =
            RelayServer { transport: Transport::Udp, addr: "192.0.2.10:3478".parse().unwrap(), name: None };
        for nothing_known in [format!("[{many}]"), "[]".to_owned()] {
            assert_eq!(ways(&credentials(&nothing_known)), core::slice::from_ref(&plain));
        }
    }
}
