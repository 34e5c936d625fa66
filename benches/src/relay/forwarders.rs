//! Yardsticks: what the system itself takes for the same work.
//!
//! A forwarder has the sockets that a relay has, one for clients and one for each flow, and rewrites as a
//! relay does: four bytes less towards the peer, four more towards the client. It knows its flows from the
//! start, so there is nothing to ask for, and nothing to check.

use std::{
    collections::HashMap,
    io::{IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    os::fd::{AsRawFd, RawFd},
};

use anyhow::{Context as _, Result};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt},
};

use super::bursts::{Basin, Bursts};

/// How a yardstick works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// `recvmmsg` and `sendmmsg`.
    Plain,
    /// `UDP_GRO` and `UDP_SEGMENT`.
    Merged,
    /// `recvmmsg` and `sendmmsg`, back to where it came from.
    Echo,
}

/// Where flows begin and end.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Flows {
    /// How many.
    #[arg(long = "flows", default_value_t = 0)]
    count: u16,
    /// The first client's port; the others follow.
    #[arg(long, default_value_t = 0)]
    clients: u16,
    /// The port of all peers.
    #[arg(long, default_value_t = 0)]
    peer: u16,
    /// Its own address.
    #[arg(long)]
    ip: Ipv4Addr,
    /// The address of clients and peers.
    #[arg(long)]
    others: Ipv4Addr,
}

const SIZE: usize = 2_048;
const BATCH: usize = 32;
/// `ChannelData`'s header of a payload of 200 bytes.
const HEAD: usize = 4;

/// Serves until it is killed; the first line that it prints are its ports, the clients' first.
#[expect(clippy::print_stdout, reason = "the bench reads it")]
pub(crate) fn serve(way: Way, flows: Flows) -> Result<()> {
    let mut merging = Vec::new();
    let mut sockets = Vec::new();
    for _ in 0..=flows.count {
        if way == Way::Merged {
            let bursts = Bursts::bind(flows.ip, 0)?;
            sockets.push(bursts.socket.try_clone()?);
            merging.push(bursts);
        } else {
            let socket = UdpSocket::bind((flows.ip, 0))?;
            socket.set_nonblocking(true)?;
            sockets.push(socket);
        }
    }
    // Bursts wait for it as they do for the relay.
    setsockopt(sockets.first().context("a socket")?, sockopt::RcvBuf, &(4 * 1024 * 1024))?;
    let ports = sockets.iter().map(|socket| Ok(socket.local_addr()?.port().to_string()));
    println!("{}", ports.collect::<Result<Vec<_>>>()?.join(" "));
    let mut poll = Poll::new()?;
    for (token, socket) in sockets.iter().enumerate() {
        poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(token), Interest::READABLE)?;
    }
    let mut forwarder = Forwarder::new(flows, sockets, merging);
    let mut events = Events::with_capacity(1_024);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Token(at) = event.token();
            // A batch that was not full has emptied the queue.
            while match way {
                Way::Plain => forwarder.plain(at)?,
                Way::Merged => forwarder.merged(at)?,
                Way::Echo => forwarder.echo()?,
            } {}
        }
    }
}

struct Forwarder {
    sockets: Vec<UdpSocket>,
    /// The same, where they merge.
    merging: Vec<Bursts>,
    /// By clients, the number of their flow's socket.
    flow_of: HashMap<SocketAddr, usize>,
    clients: Vec<SocketAddr>,
    peer: SocketAddr,
    received: MultiHeaders<SockaddrIn>,
    sent: MultiHeaders<SockaddrIn>,
    memory: Vec<u8>,
    basin: Basin,
    out: Vec<u8>,
}

/// Sizes and senders of a batch.
type Got = [(usize, Option<SockaddrIn>); BATCH];

impl Forwarder {
    fn new(flows: Flows, sockets: Vec<UdpSocket>, merging: Vec<Bursts>) -> Self {
        let at = |port| SocketAddr::from((flows.others, port));
        let clients: Vec<_> = (0..flows.count).map(|flow| at(flows.clients + flow)).collect();
        Self {
            sockets,
            merging,
            flow_of: clients.iter().enumerate().map(|(flow, client)| (*client, flow + 1)).collect(),
            clients,
            peer: at(flows.peer),
            received: MultiHeaders::preallocate(BATCH, None),
            sent: MultiHeaders::preallocate(BATCH, None),
            memory: vec![0; SIZE * BATCH],
            basin: Basin::new(),
            out: Vec::new(),
        }
    }

    /// One batch; whether it was full.
    fn plain(&mut self, at: usize) -> Result<bool> {
        let mut got: Got = [(0, None); BATCH];
        let count = self.batch(at, &mut got)?;
        let Self { sockets, flow_of, clients, peer, sent, memory, .. } = self;
        let got = got.get(..count).unwrap_or_default();
        if at > 0 {
            let head = [0x40, 0, 0, 200];
            let client = SockaddrIn::from(v4(*clients.get(at - 1).context("a flow")?)?);
            let parts: [_; BATCH] =
                std::array::from_fn(|n| [IoSlice::new(&head), IoSlice::new(of_slot(memory, n, 0, got))]);
            send(fd(sockets, 0), sent, parts.get(..count).unwrap_or_default(), &[Some(client); BATCH])?;
            return Ok(count == BATCH);
        }
        // What follows in one flow leaves in one call.
        let parts: [_; BATCH] = std::array::from_fn(|n| [IoSlice::new(of_slot(memory, n, HEAD, got))]);
        let to = [Some(SockaddrIn::from(v4(*peer)?)); BATCH];
        let mut begin = 0;
        while let Some((_, from)) = got.get(begin) {
            let length = got.iter().skip(begin).take_while(|(_, other)| other == from).count();
            let from = from.map(|from| SocketAddr::from(SocketAddrV4::from(from)));
            let flow = from.and_then(|from| flow_of.get(&from)).copied().unwrap_or_default();
            send(fd(sockets, flow), sent, parts.get(begin..begin + length).unwrap_or_default(), &to)?;
            begin += length;
        }
        Ok(count == BATCH)
    }

    fn echo(&mut self) -> Result<bool> {
        let mut got: Got = [(0, None); BATCH];
        let count = self.batch(0, &mut got)?;
        let Self { sockets, sent, memory, .. } = self;
        let parts: [_; BATCH] = std::array::from_fn(|n| [IoSlice::new(of_slot(memory, n, 0, &got))]);
        let to = got.map(|(_, from)| from);
        send(fd(sockets, 0), sent, parts.get(..count).unwrap_or_default(), &to)?;
        Ok(count == BATCH)
    }

    fn merged(&mut self, at: usize) -> Result<bool> {
        let Self { merging, flow_of, clients, peer, basin, out, .. } = self;
        let mut groups = 0;
        let clients_side = merging.first().context("a socket")?;
        merging.get(at).context("a socket")?.receive(basin, |bytes, size, from| {
            groups += 1;
            out.clear();
            if at == 0 {
                for one in bytes.chunks(size) {
                    out.extend_from_slice(one.get(HEAD..).unwrap_or_default());
                }
                let flow = flow_of.get(&from).copied().unwrap_or_default();
                return merging.get(flow).context("a flow")?.send(*peer, out, size - HEAD);
            }
            for one in bytes.chunks(size) {
                out.extend_from_slice(&[0x40, 0, 0, 200]);
                out.extend_from_slice(one);
            }
            clients_side.send(*clients.get(at - 1).context("a flow")?, out, size + HEAD)
        })?;
        Ok(groups == quinn_udp::BATCH_SIZE)
    }

    /// Receives what is there; how many.
    fn batch(&mut self, at: usize, got: &mut Got) -> Result<usize> {
        let fd = fd(&self.sockets, at);
        let mut slots = self.memory.chunks_mut(SIZE);
        let mut slots: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
        let received = recvmmsg(fd, &mut self.received, slots.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        if received.as_ref().is_err_and(|error| *error == Errno::EAGAIN) {
            return Ok(0);
        }
        let messages = received?;
        Ok(got.iter_mut().zip(messages).map(|(got, message)| *got = (message.bytes, message.address)).count())
    }
}

fn fd(sockets: &[UdpSocket], at: usize) -> RawFd {
    sockets.get(at).map_or(-1, AsRawFd::as_raw_fd)
}

fn of_slot<'a>(
    memory: &'a [u8],
    number: usize,
    from: usize,
    got: &[(usize, Option<SockaddrIn>)],
) -> &'a [u8] {
    let size = got.get(number).map_or(0, |(size, _)| *size);
    memory.get(number * SIZE + from..number * SIZE + size).unwrap_or_default()
}

fn send<'a, const N: usize>(
    fd: RawFd,
    headers: &'a mut MultiHeaders<SockaddrIn>,
    parts: &'a [[IoSlice<'a>; N]],
    to: &'a [Option<SockaddrIn>],
) -> Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    match sendmmsg(fd, headers, parts, to, [], MsgFlags::MSG_DONTWAIT) {
        // Lost, as a relay loses it.
        Err(Errno::EAGAIN) | Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn v4(addr: SocketAddr) -> Result<SocketAddrV4> {
    match addr {
        SocketAddr::V4(addr) => Ok(addr),
        SocketAddr::V6(_) => anyhow::bail!("the bench runs over IPv4"),
    }
}

/// A free port of this address, and as many after it.
pub(crate) fn free_ports(ip: Ipv4Addr, count: u16) -> Result<u16> {
    loop {
        let first = UdpSocket::bind((ip, 0))?.local_addr()?.port();
        let Some(last) = first.checked_add(count) else { continue };
        if (first..last).all(|port| UdpSocket::bind((ip, port)).is_ok()) {
            return Ok(first);
        }
    }
}
