//! Clients that come over TLS.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use switchhook_core::{
    seal::RootKeys,
    stun::{Message, attribute},
};
use switchhook_relay::TlsPort;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    by_hand::{ALLOCATE, ByHand, CHANNEL_BIND, CHANNEL_NUMBER, PEER, RELAYED, Said, UDP},
    running::{GUARD, Running},
};

/// REL-3.tls
#[tokio::test]
async fn data_of_an_encrypted_stream_reaches_a_peer_and_comes_back() {
    let (running, connector) = encrypted().await;
    let mut tls = connect(&running, &connector).await;
    let mut hand = ByHand::new(&running, running.credentials("s1", "d1")).await;
    let unsigned = hand.write(ALLOCATE, &[UDP], |_| ());
    hand.nonce = exchange(&mut tls, &unsigned).await.value(attribute::NONCE);
    let request = hand.signed(ALLOCATE, &[UDP]);
    let relayed = exchange(&mut tls, &request).await.address(RELAYED);
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let value = hand.peer(&peer.local_addr().unwrap().to_string());
    let request = hand.signed(CHANNEL_BIND, &[(CHANNEL_NUMBER, &[0x40, 1, 0, 0]), (PEER, &value)]);
    assert_eq!(exchange(&mut tls, &request).await.outcome(), Ok(()));

    tls.write_all(b"\x40\x01\0\x05hello\0\0\0").await.unwrap();
    let mut datagram = [0; 16];
    let (length, from) = timeout(GUARD, peer.recv_from(&mut datagram)).await.expect("data").unwrap();
    assert_eq!((&datagram[..length], from), (&b"hello"[..], relayed));
    peer.send_to(b"answer", relayed).await.unwrap();
    let mut answer = [0; 12];
    timeout(GUARD, tls.read_exact(&mut answer)).await.expect("data").unwrap();
    assert_eq!(&answer, b"\x40\x01\0\x06answer\0\0");

    drop(tls);
    while running.relay.allocations() > 0 {
        tokio::task::yield_now().await;
    }
    running.stop().await;
}

/// REL-3.tls
#[tokio::test]
async fn what_is_not_encrypted_gets_nothing_at_the_port_of_tls() {
    let (running, connector) = encrypted().await;
    let mut hand = ByHand::new(&running, running.credentials("s1", "d1")).await;
    let request = hand.write(ALLOCATE, &[UDP], |_| ());
    let mut plain = TcpStream::connect(running.relay.tls_addr().unwrap()).await.unwrap();
    plain.write_all(&request).await.unwrap();
    let mut said = Vec::new();
    _ = timeout(GUARD, plain.read_to_end(&mut said)).await.expect("the end");
    assert!(Message::parse(&said).is_err(), "an alert at most");

    let mut tls = connect(&running, &connector).await;
    assert_eq!(exchange(&mut tls, &request).await.outcome(), Err(401), "others are served");
    running.stop().await;
}

/// A relay with a certificate, and a client that believes it.
pub(crate) async fn encrypted() -> (Running, TlsConnector) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = cert.der().clone();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    server.alpn_protocols = vec![switchhook_relay::ALPN.to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.peers.allow_loopback = true;
        config.quota.each_participant = 20;
        config.tcp_allocations = true;
        config.tls = Some(TlsPort { port: 0, config: Arc::new(server) });
    })
    .await;
    (running, TlsConnector::from(Arc::new(client)))
}

async fn connect(running: &Running, connector: &TlsConnector) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(running.relay.tls_addr().unwrap()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    timeout(GUARD, connector.connect(name, tcp)).await.expect("a handshake").unwrap()
}

async fn exchange(tls: &mut TlsStream<TcpStream>, request: &[u8]) -> Said {
    tls.write_all(request).await.unwrap();
    let mut message = vec![0; 20];
    timeout(GUARD, tls.read_exact(&mut message)).await.expect("an answer").unwrap();
    let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
    message.resize(20 + length, 0);
    timeout(GUARD, tls.read_exact(&mut message[20..])).await.expect("the rest").unwrap();
    Said(message)
}
