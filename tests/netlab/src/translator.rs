//! A NAT in user space, for what the kernel does not play.
//!
//! It reads every IPv4 packet that reaches the gateway from a packet socket, asks its [`Table`] for the
//! translation, and sends the result from a raw socket, so that the kernel does routing and ARP as
//! always. The kernel itself is told by a rule to drop UDP, else it would answer for closed ports.
//! TCP is left to it. Fragments, and ICMP about translated datagrams, are not translated.

mod packet;
mod table;

use std::{
    fmt,
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket};

use self::packet::Datagram;
pub use self::table::{Behaviour, InUse, Ports, Table};
use crate::{
    namespace::Namespace,
    worker::{self, IPV4, LARGEST, Worker},
};

/// A NAT at work; it stops when dropped.
pub(crate) struct Translator {
    shared: Arc<Mutex<Shared>>,
    _worker: Worker,
}

struct Shared {
    table: Table,
    /// How far the clock was put forward.
    ahead: Duration,
}

impl Translator {
    /// Translates between the network `inside` (of 24 bits) and the address `outside`.
    pub(crate) fn start(
        gateway: &Namespace,
        behaviour: Behaviour,
        inside: Ipv4Addr,
        outside: Ipv4Addr,
    ) -> Result<Self> {
        let sockets = gateway.enter(Sockets::open)??;
        let table = Table::new(behaviour, outside);
        let shared = Arc::new(Mutex::new(Shared { table, ahead: Duration::ZERO }));
        let worker = {
            let shared = Arc::clone(&shared);
            let work = move |stopped: &UnixStream| sockets.translate(&shared, network(inside), stopped);
            Worker::start("translator", work)?
        };
        Ok(Self { shared, _worker: worker })
    }

    /// Changes the table.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        change(&mut lock(&self.shared).table)
    }

    /// Lets mappings grow older.
    pub(crate) fn put_clock_forward(&self, by: Duration) {
        lock(&self.shared).ahead += by;
    }
}

impl fmt::Debug for Translator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translator").finish_non_exhaustive()
    }
}

struct Sockets {
    frames: Socket,
    out: Socket,
}

impl Sockets {
    fn open() -> Result<Self> {
        let (frames, out) = (worker::frames(IPV4)?, worker::raw(Domain::IPV4)?);
        Ok(Self { frames, out })
    }

    fn translate(mut self, shared: &Mutex<Shared>, inside: u32, stopped: &UnixStream) {
        let mut buffer = vec![0; LARGEST];
        while self.wait(stopped) {
            let Ok(length) = self.frames.read(&mut buffer) else { continue };
            let Some(datagram) = buffer.get(..length).and_then(Datagram::read) else { continue };
            let mut shared = lock(shared);
            let translated = route(&mut shared, inside, &datagram);
            drop(shared);
            if let Some((from, to)) = translated {
                let packet = datagram.rewritten(from, to);
                // What does not go out is lost, as at any router.
                drop(packet.map(|packet| self.out.send_to(&packet, &SocketAddr::V4(to).into())));
            }
        }
    }

    /// Waits for a packet; false when told to stop.
    fn wait(&self, stopped: &UnixStream) -> bool {
        let mut events = [self.frames.as_fd(), stopped.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let ready = poll(&mut events, PollTimeout::NONE);
        let [_, stop] = events;
        ready.is_ok() && stop.any() == Some(false)
    }
}

/// New source and destination; nothing for what is not let through.
fn route(shared: &mut Shared, inside: u32, datagram: &Datagram<'_>) -> Option<(SocketAddrV4, SocketAddrV4)> {
    let now = now() + shared.ahead;
    let table = &mut shared.table;
    let (from, to) = (datagram.from, datagram.to);
    let comes_from_inside = network(*from.ip()) == inside;
    if to.ip() == &table.outside() {
        if !comes_from_inside {
            return Some((from, table.inbound(from, to.port(), now)?));
        }
        return table.hairpin(from, to.port(), now);
    }
    if comes_from_inside && network(*to.ip()) != inside {
        Some((table.outbound(from, to, now)?, to))
    } else {
        None
    }
}

fn network(ip: Ipv4Addr) -> u32 {
    ip.to_bits() >> 8
}

/// Nothing in here is left half done by a panic.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a gateway has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}
