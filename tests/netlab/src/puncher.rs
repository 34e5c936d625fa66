//! The least that opens holes: what any two hosts behind NATs can do, without a relay and without guessing.
//!
//! Each of both learns from the server where it is seen, and reports that to the other. Then, in
//! rounds, each asks every address that it knows of the other: those reported, and those from which
//! the other was heard (RFC 8445's peer-reflexive candidates). A question is answered to where it came
//! from, and names the address that was asked. They meet when each has had an answer to its question
//! from the very address that it asked: then both send and receive along one path.
//!
//! Nothing waits for time: they take turns. After asking, a host pings the server. Cables and
//! translators are queues, so when the pong is there, what was sent before has gone as far as it goes;
//! and whoever has its pong has read before it whatever the other sent on its turn.

use std::{
    collections::BTreeSet,
    io,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Result, ensure};

use crate::{host::Host, lab::Lab};

/// How two hosts met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meeting {
    /// Rounds of questions, the successful one included.
    pub rounds: u32,
}

/// More than any pair needs that meets at all: a question, the answer and question back, the answer.
const ROUNDS: u32 = 6;

/// Pings to the server before its silence counts.
const PINGS: u32 = 3;

/// How long one ping may take. On a path that works it takes less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

const ASK: &str = "do you hear me at ";
const ANSWER: &str = "I hear you at ";
const PING: &[u8] = b"ping";

/// Lets two hosts try to meet, `a` moving first; nothing if they cannot.
pub fn meet(lab: &Lab, a: &Host, b: &Host) -> Result<Option<Meeting>> {
    let observer = Observer::new(lab)?;
    let (mut a, mut b) = (Puncher::new(a)?, Puncher::new(b)?);
    let Some(a_seen) = observer.observe(&a.socket)? else { return Ok(None) };
    let Some(b_seen) = observer.observe(&b.socket)? else { return Ok(None) };
    a.known.insert(b_seen);
    b.known.insert(a_seen);
    for rounds in 1..=ROUNDS {
        for host in [&mut a, &mut b] {
            host.ask()?;
            host.settle(&observer)?;
        }
        if a.was_answered && b.was_answered {
            return Ok(Some(Meeting { rounds }));
        }
    }
    Ok(None)
}

/// Where the server sees a new socket of this host; nothing if no datagram gets there and back.
pub fn reported(lab: &Lab, host: &Host) -> Result<Option<SocketAddr>> {
    Observer::new(lab)?.observe(&host.bind(0)?)
}

struct Puncher {
    socket: UdpSocket,
    /// Addresses of the other.
    known: BTreeSet<SocketAddr>,
    was_answered: bool,
}

impl Puncher {
    fn new(host: &Host) -> Result<Self> {
        Ok(Self { socket: host.bind(0)?, known: BTreeSet::new(), was_answered: false })
    }

    fn ask(&self) -> Result<()> {
        for addr in &self.known {
            self.socket.send_to(format!("{ASK}{addr}").as_bytes(), addr)?;
        }
        Ok(())
    }

    /// Takes in what came, until what was sent last has come back from the server.
    fn settle(&mut self, observer: &Observer) -> Result<()> {
        observer.reflect_from(&self.socket)?;
        let mut buffer = [0; 64];
        loop {
            let (length, from) = receive(&self.socket, &mut buffer)?;
            let said = str::from_utf8(buffer.get(..length).unwrap_or_default())?;
            if let Some(asked) = said.strip_prefix(ASK) {
                self.known.insert(from);
                self.socket.send_to(format!("{ANSWER}{asked}").as_bytes(), from)?;
            } else if let Some(asked) = said.strip_prefix(ANSWER) {
                self.was_answered |= asked.parse() == Ok(from);
            } else {
                return Ok(());
            }
        }
    }
}

/// A socket of the server's that tells others where it sees them.
struct Observer {
    socket: UdpSocket,
    addr: SocketAddr,
}

impl Observer {
    fn new(lab: &Lab) -> Result<Self> {
        let socket = lab.server().bind(0)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let addr = socket.local_addr()?;
        Ok(Self { socket, addr })
    }

    /// Where the server sees a socket.
    fn observe(&self, socket: &UdpSocket) -> Result<Option<SocketAddr>> {
        socket.set_read_timeout(Some(PATIENCE))?;
        for _ in 0..PINGS {
            socket.send_to(PING, self.addr)?;
            let mut buffer = [0; 64];
            let seen = match self.socket.recv_from(&mut buffer) {
                Ok((_, seen)) => seen,
                Err(error) if is_silence(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            self.socket.send_to(PING, seen)?;
            receive(socket, &mut buffer)?;
            return Ok(Some(seen));
        }
        Ok(None)
    }

    /// Sends a datagram from the socket to the server, and one back.
    fn reflect_from(&self, socket: &UdpSocket) -> Result<()> {
        socket.send_to(PING, self.addr)?;
        let (_, seen) = receive(&self.socket, &mut [0; 64])?;
        self.socket.send_to(PING, seen)?;
        Ok(())
    }
}

/// Receives what is known to come, however busy the machine is.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
    for _ in 0..40 {
        match socket.recv_from(buffer) {
            Err(error) if is_silence(&error) => {}
            received => return Ok(received?),
        }
    }
    ensure!(false, "a datagram that was sent does not arrive");
    Ok((0, socket.local_addr()?))
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
