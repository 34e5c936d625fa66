//! How far apart sites are: the internet's router holds what passes for a while.
//!
//! Linux does that by `sch_netem`, which many a machine's kernel is built without. So a thread does it: it reads every
//! packet that reaches the router, and sends it when its time has come. The kernel itself is told by a rule to forward
//! nothing.

mod packet;

use std::{
    collections::VecDeque,
    io::Read as _,
    net::{IpAddr, SocketAddr},
    os::{fd::AsFd as _, unix::net::UnixStream},
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket};

use self::packet::Packet;
use crate::{
    namespace::Namespace,
    worker::{self, IPV4, IPV6, LARGEST, Worker},
};

/// Packets on their way at a time; what comes beyond them is lost, as on any line.
const UNDER_WAY: usize = 65_536;

/// What passes the router is the thread's; what is for the router itself is not.
const NOTHING_FORWARDED: &str = "chain through {
        type filter hook forward priority filter; policy drop;
    }";

/// A router that takes its time; it goes on at once when dropped.
#[derive(Debug)]
pub(crate) struct Distance(#[expect(dead_code, reason = "it is held")] Worker);

impl Distance {
    /// From here on each packet takes so long through this router, whose own addresses these are.
    pub(crate) fn start(router: &Namespace, own: Vec<IpAddr>, one_way: Duration) -> Result<Self> {
        let line = router.enter(|| Line::open(own, one_way))??;
        router.nft(&format!(
            "table ip lab {{\n{NOTHING_FORWARDED}\n}}\ntable ip6 lab {{\n{NOTHING_FORWARDED}\n}}"
        ))?;
        Ok(Self(Worker::start("distance", move |stopped| line.carry(stopped))?))
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
        let frames = [worker::frames(IPV4)?, worker::frames(IPV6)?];
        let (v4, v6) = (worker::raw(Domain::IPV4)?, worker::raw(Domain::IPV6)?);
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
