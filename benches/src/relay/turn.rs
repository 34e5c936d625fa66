//! A TURN client that allocates as quickly as it can.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use switchhook_core::stun::{self, Algorithm, Key, Message, Writer, attribute};

const ALLOCATE: u16 = 0x0003;
const CHANNEL_BIND: u16 = 0x0009;
const CHANNEL_NUMBER: u16 = 0x000C;
const PEER: u16 = 0x0012;
const RELAYED: u16 = 0x0016;
const TRANSPORT: u16 = 0x0019;

/// Who may allocate.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
}

/// Makes an allocation with a channel to the peer, for whoever sends from this socket; its address.
pub(crate) fn allocate(
    socket: &UdpSocket,
    relay: SocketAddr,
    peer: u16,
    credentials: &Credentials,
) -> Result<SocketAddr> {
    let mut turn = Turn { socket, relay, credentials, nonce: Vec::new(), realm: Vec::new(), transactions: 0 };
    let udp = (TRANSPORT, &[17, 0, 0, 0][..]);
    let challenged = turn.exchange(ALLOCATE, &[udp], false)?;
    let challenge = Message::parse(&challenged)?;
    turn.nonce = challenge.attribute(attribute::NONCE).context("no nonce")?.to_vec();
    turn.realm = challenge.attribute(attribute::REALM).context("no realm")?.to_vec();

    let allocated = turn.exchange(ALLOCATE, &[udp], true)?;
    let allocated = Message::parse(&allocated)?;
    ensure!(allocated.message_type() == ALLOCATE | 0x100, "no allocation");
    let relayed = allocated.attribute(RELAYED).context("no address")?;
    let relayed = stun::read_address(relayed, &allocated.transaction()).context("no address")?;

    let mut value = Vec::new();
    Writer::new(&mut value, 0, [turn.transactions + 1; 12])
        .xor_mapped_address((Ipv4Addr::LOCALHOST, peer).into());
    let value = value.get(stun::HEADER + 4..).unwrap_or_default();
    let bound = turn.exchange(CHANNEL_BIND, &[(CHANNEL_NUMBER, &[0x40, 0, 0, 0]), (PEER, value)], true)?;
    ensure!(Message::parse(&bound)?.message_type() == CHANNEL_BIND | 0x100, "no channel");
    Ok(relayed)
}

struct Turn<'a> {
    socket: &'a UdpSocket,
    relay: SocketAddr,
    credentials: &'a Credentials,
    nonce: Vec<u8>,
    realm: Vec<u8>,
    transactions: u8,
}

impl Turn<'_> {
    fn exchange(&mut self, kind: u16, attributes: &[(u16, &[u8])], signed: bool) -> Result<Vec<u8>> {
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
