//! TURN clients that allocate as quickly as they can.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use switchhook_core::stun::{self, Algorithm, Key, Message, Writer, attribute};

const ALLOCATE: u16 = 0x0003;
const REFRESH: u16 = 0x0004;
const CHANNEL_BIND: u16 = 0x0009;
const CHANNEL_NUMBER: u16 = 0x000C;
const LIFETIME: u16 = 0x000D;
const PEER: u16 = 0x0012;
const RELAYED: u16 = 0x0016;
const TRANSPORT: u16 = 0x0019;

/// Who may allocate.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
}

/// A client that holds an allocation.
pub(crate) struct Client<'a> {
    socket: &'a UdpSocket,
    relay: SocketAddr,
    credentials: &'a Credentials,
    nonce: Vec<u8>,
    realm: Vec<u8>,
    transactions: u8,
    relayed: SocketAddr,
}

/// Makes an allocation with a channel to the peer for whoever sends from these sockets; the addresses.
pub(crate) fn allocate(
    sockets: &[&UdpSocket],
    relay: SocketAddr,
    peer: SocketAddr,
    credentials: &Credentials,
) -> Result<Vec<SocketAddr>> {
    Ok(hold(sockets, relay, peer, credentials)?.iter().map(|client| client.relayed).collect())
}

/// The same, for clients that go on. All ask before the first is waited for.
pub(crate) fn hold<'a>(
    sockets: &[&'a UdpSocket],
    relay: SocketAddr,
    peer: SocketAddr,
    credentials: &'a Credentials,
) -> Result<Vec<Client<'a>>> {
    let udp = (TRANSPORT, &[17, 0, 0, 0][..]);
    let begin = |socket: &&'a UdpSocket| Client::new(socket, relay, credentials);
    let mut clients: Vec<Client<'a>> = sockets.iter().map(begin).collect();
    for client in &mut clients {
        client.ask(ALLOCATE, &[udp], false)?;
    }
    for client in &mut clients {
        let challenged = client.answer()?;
        let challenge = Message::parse(&challenged)?;
        client.nonce = challenge.attribute(attribute::NONCE).context("no nonce")?.to_vec();
        client.realm = challenge.attribute(attribute::REALM).context("no realm")?.to_vec();
    }
    for client in &mut clients {
        client.ask(ALLOCATE, &[udp], true)?;
    }
    for client in &mut clients {
        let allocated = client.answer()?;
        let allocated = succeeded(&allocated, ALLOCATE)?;
        let relayed = allocated.attribute(RELAYED).context("no address")?;
        client.relayed = stun::read_address(relayed, &allocated.transaction()).context("no address")?;
    }
    for client in &mut clients {
        let mut value = Vec::new();
        Writer::new(&mut value, 0, [client.transactions + 1; 12]).xor_mapped_address(peer);
        let value = value.get(stun::HEADER + 4..).unwrap_or_default();
        client.ask(CHANNEL_BIND, &[(CHANNEL_NUMBER, &[0x40, 0, 0, 0]), (PEER, value)], true)?;
    }
    for client in &clients {
        succeeded(&client.answer()?, CHANNEL_BIND)?;
    }
    Ok(clients)
}

/// Ends their allocations.
pub(crate) fn give_up(clients: &mut [Client<'_>]) -> Result<()> {
    for client in clients.iter_mut() {
        client.ask(REFRESH, &[(LIFETIME, &[0; 4])], true)?;
    }
    for client in clients {
        succeeded(&client.answer()?, REFRESH)?;
    }
    Ok(())
}

fn succeeded(answer: &[u8], kind: u16) -> Result<Message<'_>> {
    let message = Message::parse(answer)?;
    ensure!(message.message_type() == kind | 0x100, "refused: {:#06x}", message.message_type());
    Ok(message)
}

impl<'a> Client<'a> {
    const fn new(socket: &'a UdpSocket, relay: SocketAddr, credentials: &'a Credentials) -> Self {
        Self { socket, relay, credentials, nonce: vec![], realm: vec![], transactions: 0, relayed: relay }
    }

    fn ask(&mut self, kind: u16, attributes: &[(u16, &[u8])], signed: bool) -> Result<()> {
        self.transactions += 1;
        let mut request = Vec::new();
        let mut writer = Writer::new(&mut request, kind, [self.transactions; 12]);
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        if signed {
            let Credentials { username, password } = self.credentials;
            writer.attribute(attribute::USERNAME, username.as_bytes());
            writer.attribute(attribute::REALM, &self.realm);
            writer.attribute(attribute::NONCE, &self.nonce);
            let key = Key::long_term_md5(username, str::from_utf8(&self.realm)?, password);
            writer.sign(&key, Algorithm::Sha1);
        }
        self.socket.send_to(&request, self.relay)?;
        Ok(())
    }

    fn answer(&self) -> Result<Vec<u8>> {
        let mut answer = vec![0; 2_048];
        let length = wait(self.socket, &mut answer)?;
        answer.truncate(length);
        Ok(answer)
    }
}

/// The socket may be one that does not wait.
fn wait(socket: &UdpSocket, buffer: &mut [u8]) -> Result<usize> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let begun = crate::clock::now();
    loop {
        match socket.recv(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ensure!(begun.elapsed() < PATIENCE, "no answer");
                std::thread::yield_now();
            }
            received => return Ok(received?),
        }
    }
}
