//! How far apart sites are: the internet's router holds what passes for a while.
//!
//! Linux does that by `sch_netem`, which many a machine's kernel is built without. So a thread does it: it reads every
//! packet that reaches the router from packet sockets, and sends it from raw ones when its time has come, so that the
//! kernel does routing and neighbours as always. The kernel itself is told by a rule to forward nothing.

mod packet;

use std::{
    collections::VecDeque,
    fmt,
    io::Read as _,
    net::{IpAddr, SocketAddr},
    os::{fd::AsFd as _, unix::net::UnixStream},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use self::packet::Packet;
use crate::namespace::Namespace;

/// Larger packets than any interface of the lab carries.
const LARGEST: usize = 9_000;

/// Room for what comes while the thread does not run.
const QUEUE: usize = 4 << 20;

/// Packets on their way at a time; what comes beyond them is lost, as on any line.
const UNDER_WAY: usize = 65_536;

/// `ETH_P_IP` and `ETH_P_IPV6`, as packet sockets want them: in network order.
const FRAMES: [[u8; 2]; 2] = [0x0800_u16.to_be_bytes(), 0x86DD_u16.to_be_bytes()];

/// What passes the router is the thread's; what is for the router itself is not.
const NOTHING_FORWARDED: &str = "chain through {
        type filter hook forward priority filter; policy drop;
    }";

/// A router that takes its time; it goes on at once when dropped.
pub(crate) struct Distance {
    /// Closed, it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Distance {
    /// From here on each packet takes so long through this router, whose own addresses these are.
    pub(crate) fn start(router: &Namespace, own: Vec<IpAddr>, one_way: Duration) -> Result<Self> {
        let line = router.enter(|| Line::open(own, one_way))??;
        router.nft(&format!(
            "table ip lab {{\n{NOTHING_FORWARDED}\n}}\ntable ip6 lab {{\n{NOTHING_FORWARDED}\n}}"
        ))?;
        let (stop, stopped) = UnixStream::pair()?;
        let thread =
            thread::Builder::new().name("distance".to_owned()).spawn(move || line.carry(&stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Distance {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed, and the test fails for want of packets.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distance").finish_non_exhaustive()
    }
}

struct Line {
    frames: [Socket; 2],
    v4: Socket,
    v6: Socket,
    own: Vec<IpAddr>,
    one_way: Duration,
    /// In the order in which they leave.
    under_way: VecDeque<(Instant, Packet)>,
}

impl Line {
    fn open(own: Vec<IpAddr>, one_way: Duration) -> Result<Self> {
        let [v4, v6] = FRAMES.map(|frames| Protocol::from(i32::from(u16::from_ne_bytes(frames))));
        let frames = [v4, v6].map(|frames| Socket::new(Domain::PACKET, Type::DGRAM, Some(frames)));
        let [v4, v6] = frames;
        let frames = [v4?, v6?];
        for socket in &frames {
            socket.set_recv_buffer_size(QUEUE)?;
        }
        let raw = |family| Socket::new(family, Type::RAW, Some(Protocol::from(nix::libc::IPPROTO_RAW)));
        let (v4, v6) = (raw(Domain::IPV4)?, raw(Domain::IPV6)?);
        Ok(Self { frames, v4, v6, own, one_way, under_way: VecDeque::new() })
    }

    fn carry(mut self, stopped: &UnixStream) {
        let mut buffer = vec![0; LARGEST];
        while let Some(ready) = self.wait(stopped) {
            for (frames, _) in self.frames.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
                let Ok(length) = frames.read(&mut buffer) else { continue };
                let Some(packet) = buffer.get(..length).and_then(Packet::read) else { continue };
                if self.under_way.len() < UNDER_WAY && !self.own.contains(&packet.to) {
                    self.under_way.push_back((now() + self.one_way, packet));
                }
            }
            self.deliver();
        }
    }

    /// Sends what has been under way for long enough.
    fn deliver(&mut self) {
        while let Some((_, packet)) = self.under_way.pop_front_if(|(due, _)| *due <= now()) {
            let out = if packet.to.is_ipv4() { &self.v4 } else { &self.v6 };
            // What does not go out is lost, as at any router.
            drop(out.send_to(&packet.bytes, &SocketAddr::new(packet.to, 0).into()));
        }
    }

    /// Waits until something is to be done, and says which sockets have packets; nothing when told to stop.
    fn wait(&self, stopped: &UnixStream) -> Option<[bool; 2]> {
        let [v4, v6] = &self.frames;
        let mut events =
            [v4.as_fd(), v6.as_fd(), stopped.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let patience = self.under_way.front().map_or(PollTimeout::NONE, |(due, _)| until(*due));
        poll(&mut events, patience).ok()?;
        let [v4, v6, stop] = events.map(|event| event.any().unwrap_or(true));
        (!stop).then_some([v4, v6])
    }
}

/// In whole milliseconds, not less.
fn until(due: Instant) -> PollTimeout {
    let micros = due.saturating_duration_since(now()).as_micros();
    PollTimeout::try_from(micros.div_ceil(1_000)).unwrap_or(PollTimeout::MAX)
}

#[expect(clippy::disallowed_methods, reason = "a line has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}
