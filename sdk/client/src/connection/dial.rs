//! Opening the WebSocket: `ws://` or `wss://`, with TLS by rustls on aws-lc-rs.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use switchhook_protocol::{SUBPROTOCOL, id::TenantId};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest as _,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::WebSocketConfig,
    },
};

use crate::{limits, settings::Settings};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The address is no URL of a host.
    #[error("not an address of a host: {0}")]
    Address(String),
    /// The host answered, and no.
    #[error("the host answered with HTTP status {0}")]
    Status(u16),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The network or the other side failed.
    #[error("no connection: {0}")]
    Network(String),
    /// It took too long.
    #[error("the host did not answer in time")]
    Deadline,
}

/// Connects to the host of the settings, or to another one that it has sent this client to.
pub(crate) async fn dial(settings: &Settings, next: Option<&str>) -> Result<Socket, DialError> {
    let address = address(next.unwrap_or(&settings.url), &settings.tenant);
    let mut request =
        address.as_str().into_client_request().map_err(|error| DialError::Address(error.to_string()))?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let connector = match (&settings.tls, address.starts_with("wss:")) {
        (_, false) => Connector::Plain,
        (Some(tls), true) => Connector::Rustls(Arc::clone(tls)),
        (None, true) => Connector::Rustls(web_tls()?),
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits::FRAME))
        .max_frame_size(Some(limits::FRAME))
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0);
    let connecting = connect_async_tls_with_config(request, Some(config), true, Some(connector));
    match timeout(limits::CONNECT, Box::pin(connecting)).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(tungstenite::Error::Http(response))) => Err(DialError::Status(response.status().as_u16())),
        Ok(Err(error)) => Err(DialError::Network(error.to_string())),
        Err(_) => Err(DialError::Deadline),
    }
}

fn address(url: &str, tenant: &TenantId) -> String {
    format!("{}/v1/{tenant}/connect", url.trim_end_matches('/'))
}

/// Whether a host may send a client from one address to another: TLS is not given up.
pub(crate) fn is_as_secure(from: &str, to: &str) -> bool {
    to.starts_with("wss://") || (to.starts_with("ws://") && from.starts_with("ws://"))
}

/// TLS that trusts whom browsers trust.
pub(crate) fn web_tls() -> Result<Arc<ClientConfig>, DialError> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_names_the_tenant() {
        let tenant = "acme".parse().unwrap();
        assert_eq!(address("wss://host.example/", &tenant), "wss://host.example/v1/acme/connect");
    }

    #[test]
    fn no_host_sends_a_client_away_from_tls() {
        for (from, to, may) in [
            ("wss://a.example", "wss://b.example", true),
            ("ws://a.example", "wss://b.example", true),
            ("ws://a.example", "ws://b.example", true),
            ("wss://a.example", "ws://b.example", false),
            ("ws://a.example", "https://b.example", false),
        ] {
            assert_eq!(is_as_secure(from, to), may, "{from} to {to}");
        }
    }

    #[test]
    fn tls_is_set_up_without_a_provider_of_the_process() {
        web_tls().unwrap();
    }
}
