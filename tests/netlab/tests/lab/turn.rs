//! A TURN client by hand, over UDP.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context as _, Result, ensure};
use switchhook_core::{
    relay_token::TurnCredentials,
    stun::{self, Algorithm, Key, Message, Writer, attribute},
};

const ALLOCATE: u16 = 0x0003;
const SEND: u16 = 0x0016;
const CREATE_PERMISSION: u16 = 0x0008;
pub(crate) const DATA_INDICATION: u16 = 0x0017;

pub(crate) const PEER: u16 = 0x0012;
pub(crate) const DATA: u16 = 0x0013;
const DONT_FRAGMENT: u16 = 0x001A;
pub(crate) const ICMP: u16 = 0x8004;
/// REQUESTED-TRANSPORT: UDP.
const UDP: (u16, &[u8]) = (0x0019, &[17, 0, 0, 0]);

/// A client that holds an allocation.
pub(crate) struct Turn {
    socket: UdpSocket,
    relay: SocketAddr,
    credentials: TurnCredentials,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    transactions: u8,
}

impl Turn {
    pub(crate) fn allocated(
        socket: UdpSocket,
        relay: SocketAddr,
        credentials: TurnCredentials,
    ) -> Result<Self> {
        let mut client =
            Self { socket, relay, credentials, realm: Vec::new(), nonce: Vec::new(), transactions: 0 };
        let unknown = client.write(ALLOCATE, &[UDP], |_| Ok(()))?;
        client.tell(&unknown)?;
        let challenged = client.heard()?;
        let challenge = Message::parse(&challenged)?;
        client.realm = challenge.attribute(attribute::REALM).context("no realm")?.to_vec();
        client.nonce = challenge.attribute(attribute::NONCE).context("no nonce")?.to_vec();
        client.ask(ALLOCATE, &[UDP])?;
        Ok(client)
    }

    /// From here on the peer is sent to, and heard.
    pub(crate) fn permit(&mut self, peer: SocketAddr) -> Result<()> {
        let value = self.address(peer);
        self.ask(CREATE_PERMISSION, &[(PEER, &value)])
    }

    /// Sends through the relay, in one piece or not at all if it is `whole`.
    pub(crate) fn send(&mut self, peer: SocketAddr, data: &[u8], whole: bool) -> Result<()> {
        let value = self.address(peer);
        let attributes = [(PEER, &*value), (DATA, data), (DONT_FRAGMENT, &[])];
        let attributes = attributes.get(..if whole { 3 } else { 2 }).unwrap_or_default();
        let indication = self.write(SEND, attributes, |_| Ok(()))?;
        self.tell(&indication)
    }

    /// The next message of the relay.
    pub(crate) fn heard(&self) -> Result<Vec<u8>> {
        let mut answer = vec![0; 1_500];
        let length = self.socket.recv(&mut answer).context("the relay says nothing")?;
        answer.truncate(length);
        Ok(answer)
    }

    fn ask(&mut self, kind: u16, attributes: &[(u16, &[u8])]) -> Result<()> {
        let (credentials, realm, nonce) = (self.credentials.clone(), self.realm.clone(), self.nonce.clone());
        let request = self.write(kind, attributes, |writer| {
            writer.attribute(attribute::USERNAME, credentials.username.as_bytes());
            writer.attribute(attribute::REALM, &realm);
            writer.attribute(attribute::NONCE, &nonce);
            let realm = str::from_utf8(&realm)?;
            let key = Key::long_term_md5(&credentials.username, realm, &credentials.password);
            writer.sign(&key, Algorithm::Sha1);
            Ok(())
        })?;
        self.tell(&request)?;
        let answer = self.heard()?;
        let said = Message::parse(&answer)?.message_type();
        ensure!(said == kind | 0x0100, "refused: {said:#06x}");
        Ok(())
    }

    fn write(
        &mut self,
        kind: u16,
        attributes: &[(u16, &[u8])],
        sign: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> Result<Vec<u8>> {
        self.transactions += 1;
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, kind, [self.transactions; 12]);
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        sign(&mut writer)?;
        Ok(out)
    }

    /// XOR-PEER-ADDRESS in the next message, which has the form of XOR-MAPPED-ADDRESS.
    fn address(&self, addr: SocketAddr) -> Vec<u8> {
        let mut out = Vec::new();
        Writer::new(&mut out, 0, [self.transactions + 1; 12]).xor_mapped_address(addr);
        out.split_off(stun::HEADER + 4)
    }

    fn tell(&self, message: &[u8]) -> Result<()> {
        self.socket.send_to(message, self.relay)?;
        Ok(())
    }
}
