//! A TURN client that says exactly what a test wants it to say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use switchhook_core::{
    relay_token::TurnCredentials,
    stun::{self, Algorithm, Key, Message, Writer, attribute as stun_attribute},
};
use tokio::{net::UdpSocket, time::timeout};

use crate::running::{GUARD, REALM, Running};

pub(crate) const ALLOCATE: u16 = 0x0003;
pub(crate) const REFRESH: u16 = 0x0004;
pub(crate) const CREATE_PERMISSION: u16 = 0x0008;
pub(crate) const CHANNEL_BIND: u16 = 0x0009;
pub(crate) const CONNECT: u16 = 0x000A;
pub(crate) const CONNECTION_BIND: u16 = 0x000B;
pub(crate) const SEND: u16 = 0x0016;
pub(crate) const CONNECTION_ATTEMPT: u16 = 0x001C;

pub(crate) const CHANNEL_NUMBER: u16 = 0x000C;
pub(crate) const LIFETIME: u16 = 0x000D;
pub(crate) const PEER: u16 = 0x0012;
pub(crate) const DATA: u16 = 0x0013;
pub(crate) const RELAYED: u16 = 0x0016;
pub(crate) const EVEN_PORT: u16 = 0x0018;
pub(crate) const CONNECTION_ID: u16 = 0x002A;
/// REQUESTED-TRANSPORT: UDP.
pub(crate) const UDP: (u16, &[u8]) = (0x0019, &[17, 0, 0, 0]);
/// REQUESTED-TRANSPORT: TCP.
pub(crate) const TCP: (u16, &[u8]) = (0x0019, &[6, 0, 0, 0]);

pub(crate) struct ByHand {
    pub(crate) socket: UdpSocket,
    server: SocketAddr,
    pub(crate) credentials: TurnCredentials,
    pub(crate) nonce: Vec<u8>,
    transactions: u8,
}

/// What the relay said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said(pub(crate) Vec<u8>);

impl ByHand {
    pub(crate) async fn new(running: &Running, credentials: TurnCredentials) -> Self {
        let server = running.relay.addr();
        let own: IpAddr =
            if server.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        let socket = UdpSocket::bind((own, 0)).await.unwrap();
        Self { socket, server, credentials, nonce: Vec::new(), transactions: 0 }
    }

    /// A client that knows realm and nonce.
    pub(crate) async fn greeted(running: &Running, credentials: TurnCredentials) -> Self {
        let mut client = Self::new(running, credentials).await;
        let said = client.ask_unsigned(ALLOCATE, &[UDP]).await;
        assert_eq!(said.outcome(), Err(401));
        client.nonce = said.value(stun_attribute::NONCE);
        client
    }

    /// A client that holds an allocation, and its relayed address.
    pub(crate) async fn allocated(running: &Running, session: &str, device: &str) -> (Self, SocketAddr) {
        let mut client = Self::greeted(running, running.credentials(session, device)).await;
        let said = client.ask(ALLOCATE, &[UDP]).await;
        assert_eq!(said.outcome(), Ok(()));
        let relayed = said.address(RELAYED);
        (client, relayed)
    }

    pub(crate) async fn ask(&mut self, kind: u16, attributes: &[(u16, &[u8])]) -> Said {
        let request = self.signed(kind, attributes);
        self.exchange(&request).await
    }

    pub(crate) async fn ask_unsigned(&mut self, kind: u16, attributes: &[(u16, &[u8])]) -> Said {
        let request = self.write(kind, attributes, |_| ());
        self.exchange(&request).await
    }

    pub(crate) fn signed(&mut self, kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let key = self.key();
        self.signed_with(kind, attributes, &[(key, Algorithm::Sha1)])
    }

    /// The last request once more, byte for byte.
    pub(crate) fn signed_again(&mut self, kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        self.transactions -= 1;
        self.signed(kind, attributes)
    }

    /// A request that is signed with each of these, one after the other.
    pub(crate) fn signed_with(
        &mut self,
        kind: u16,
        attributes: &[(u16, &[u8])],
        signatures: &[(Key, Algorithm)],
    ) -> Vec<u8> {
        let username = self.credentials.username.clone();
        let nonce = self.nonce.clone();
        self.write(kind, attributes, |writer| {
            writer.attribute(stun_attribute::USERNAME, username.as_bytes());
            writer.attribute(stun_attribute::REALM, REALM.as_bytes());
            writer.attribute(stun_attribute::NONCE, &nonce);
            for (key, algorithm) in signatures {
                writer.sign(key, *algorithm);
            }
        })
    }

    pub(crate) fn key(&self) -> Key {
        Key::long_term_md5(&self.credentials.username, REALM, &self.credentials.password)
    }

    /// The value of XOR-PEER-ADDRESS in the next request.
    pub(crate) fn peer(&self, addr: &str) -> Vec<u8> {
        xor_address(addr.parse().unwrap(), [self.transactions + 1; 12])
    }

    pub(crate) async fn exchange(&self, request: &[u8]) -> Said {
        self.send(request).await;
        let mut answer = vec![0; 1500];
        let (length, from) =
            timeout(GUARD, self.socket.recv_from(&mut answer)).await.expect("an answer").unwrap();
        assert_eq!(from, self.server);
        answer.truncate(length);
        Said(answer)
    }

    pub(crate) async fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.server).await.unwrap();
    }

    pub(crate) fn write(
        &mut self,
        kind: u16,
        attributes: &[(u16, &[u8])],
        sign: impl FnOnce(&mut Writer<'_>),
    ) -> Vec<u8> {
        self.transactions += 1;
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, kind, [self.transactions; 12]);
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        sign(&mut writer);
        out
    }
}

impl Said {
    /// Class and method.
    pub(crate) fn kind(&self) -> u16 {
        Message::parse(&self.0).unwrap().message_type()
    }

    /// Success, or the error code.
    pub(crate) fn outcome(&self) -> Result<(), u16> {
        let message = Message::parse(&self.0).unwrap();
        let code = message.attribute(stun_attribute::ERROR_CODE);
        code.map_or(Ok(()), |code| Err(u16::from(code[2]) * 100 + u16::from(code[3])))
    }

    pub(crate) fn value(&self, kind: u16) -> Vec<u8> {
        Message::parse(&self.0).unwrap().attribute(kind).expect("the attribute").to_vec()
    }

    pub(crate) fn address(&self, kind: u16) -> SocketAddr {
        let transaction = Message::parse(&self.0).unwrap().transaction();
        stun::read_address(&self.value(kind), &transaction).unwrap()
    }

    pub(crate) fn lifetime(&self) -> u32 {
        u32::from_be_bytes(self.value(LIFETIME).try_into().unwrap())
    }
}

/// XOR-MAPPED-ADDRESS and XOR-PEER-ADDRESS have one form.
fn xor_address(addr: SocketAddr, transaction: [u8; 12]) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out, 0, transaction).xor_mapped_address(addr);
    out[stun::HEADER + 4..].to_vec()
}
