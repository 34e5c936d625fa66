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
    cell::Cell,
    collections::BTreeSet,
    io,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

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
const PINGS: u32 = 5;

/// How long one ping may take. On a path that works it takes less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

const ASK: &str = "do you hear me at ";
const ANSWER: &str = "I hear you at ";

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
        let pong = observer.reflect_from(&self.socket)?;
        loop {
            let (said, from) = receive(&self.socket)?;
            if let Some(asked) = said.strip_prefix(ASK) {
                self.known.insert(from);
                self.socket.send_to(format!("{ANSWER}{asked}").as_bytes(), from)?;
            } else if let Some(asked) = said.strip_prefix(ANSWER) {
                self.was_answered |= asked.parse() == Ok(from);
            } else if said == pong {
                return Ok(());
            }
        }
    }
}

/// A socket of the server's that tells others where it sees them.
///
/// Every ping has a number, so that one that was late is not taken for the next.
struct Observer {
    socket: UdpSocket,
    addr: SocketAddr,
    pings: Cell<u32>,
}

impl Observer {
    fn new(lab: &Lab) -> Result<Self> {
        let socket = lab.server().bind(0)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let addr = socket.local_addr()?;
        Ok(Self { socket, addr, pings: Cell::new(0) })
    }

    /// Where the server sees a socket.
    fn observe(&self, socket: &UdpSocket) -> Result<Option<SocketAddr>> {
        socket.set_read_timeout(Some(PATIENCE))?;
        for _ in 0..PINGS {
            let ping = self.ping_from(socket)?;
            if let Some(seen) = self.seen(&ping)? {
                self.socket.send_to(ping.as_bytes(), seen)?;
                while receive(socket)?.0 != ping {}
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }

    /// Sends a datagram from the socket to the server, and the same back; what it says.
    fn reflect_from(&self, socket: &UdpSocket) -> Result<String> {
        let ping = self.ping_from(socket)?;
        let seen = (0..WAITS).find_map(|_| self.seen(&ping).transpose());
        let seen = seen.context("a datagram that was sent does not arrive")??;
        self.socket.send_to(ping.as_bytes(), seen)?;
        Ok(ping)
    }

    fn ping_from(&self, socket: &UdpSocket) -> Result<String> {
        self.pings.set(self.pings.get() + 1);
        let ping = format!("ping {}", self.pings.get());
        socket.send_to(ping.as_bytes(), self.addr)?;
        Ok(ping)
    }

    /// Where this ping came from; nothing if it does not come.
    fn seen(&self, ping: &str) -> Result<Option<SocketAddr>> {
        let mut buffer = [0; 64];
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) if buffer.get(..length) == Some(ping.as_bytes()) => return Ok(Some(from)),
                Ok(_) => {}
                Err(error) if is_silence(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How often [`PATIENCE`] may pass before what is known to come counts as lost, on a busy machine.
const WAITS: u32 = 40;

/// Receives what is known to come.
fn receive(socket: &UdpSocket) -> Result<(String, SocketAddr)> {
    let mut buffer = [0; 64];
    for _ in 0..WAITS {
        match socket.recv_from(&mut buffer) {
            Err(error) if is_silence(&error) => {}
            Err(error) => return Err(error.into()),
            Ok((length, from)) => {
                let said = str::from_utf8(buffer.get(..length).unwrap_or_default())?;
                return Ok((said.to_owned(), from));
            }
        }
    }
    bail!("a datagram that was sent does not arrive")
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
