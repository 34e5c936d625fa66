//! A connection to an SMSC, as PDUs.

use std::{io, sync::Arc};

use rusmpp::tokio_codec::CommandCodec;
use rustls::{ClientConfig, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_util::codec::Framed;

use super::Account;
use crate::{limits, peers::GatewayPeers};

/// PDUs both ways.
pub(super) type Wire = Framed<Box<dyn Stream>, CommandCodec>;

/// TCP, or TLS over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) async fn connect(account: &Account, peers: &GatewayPeers) -> io::Result<Wire> {
    let judged = peers.resolve(&account.address).await?;
    let tcp = TcpStream::connect(judged.as_slice()).await?;
    tcp.set_nodelay(true)?;
    let stream: Box<dyn Stream> = if account.tls {
        let host = account.address.rsplit_once(':').map_or(account.address.as_str(), |(host, _)| host);
        let name =
            ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
        Box::new(connector(peers)?.connect(name, tcp).await?)
    } else {
        Box::new(tcp)
    };
    Ok(Framed::new(stream, CommandCodec::new().with_max_length(limits::SMPP_PDU)))
}

fn connector(peers: &GatewayPeers) -> io::Result<TlsConnector> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(peers.roots())
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
