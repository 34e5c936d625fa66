//! What does a router's work in user space: sockets that take packets from the kernel and give them back, and a thread.
//!
//! Packets are read from packet sockets and sent from raw ones, so that the kernel does routing and neighbours as
//! always.

use std::{
    fmt, io,
    os::unix::net::UnixStream,
    thread::{self, JoinHandle},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Larger packets than any interface of the lab carries.
pub(crate) const LARGEST: usize = 9_000;

/// Room for what comes while the thread does not run.
const QUEUE: usize = 4 << 20;

/// `ETH_P_IP` and `ETH_P_IPV6`.
pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86DD;

/// A thread at work; it stops when this is dropped.
pub(crate) struct Worker {
    /// Closed, it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts work that goes on until the stream that it is given ends.
    pub(crate) fn start(name: &str, work: impl FnOnce(&UnixStream) + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || work(&stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed, and the test fails for want of packets.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

/// Where every packet of this kind is read that reaches this namespace.
pub(crate) fn frames(kind: u16) -> io::Result<Socket> {
    // Packet sockets want it in network order.
    let kind = Protocol::from(i32::from(kind.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(kind))?;
    socket.set_recv_buffer_size(QUEUE)?;
    Ok(socket)
}

/// Where whole packets of this family are sent.
pub(crate) fn raw(family: Domain) -> io::Result<Socket> {
    Socket::new(family, Type::RAW, Some(Protocol::from(nix::libc::IPPROTO_RAW)))
}
