//! Datagrams of one size, sent and received in as few system calls as there are: what the generator of load uses.

use std::{
    io::{self, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
};

use anyhow::Result;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};

/// What one call may bring merged.
const GROUP: usize = 64 * 1024;

/// A socket at one of the machine's addresses.
pub(crate) struct Bursts {
    pub(crate) socket: UdpSocket,
    state: UdpSocketState,
}

/// Where datagrams are received into.
pub(crate) struct Basin(Vec<u8>);

impl Bursts {
    pub(crate) fn bind(ip: Ipv4Addr, port: u16) -> Result<Self> {
        let socket = UdpSocket::bind((ip, port))?;
        let state = UdpSocketState::new((&socket).into())?;
        state.set_recv_buffer_size((&socket).into(), 4 * 1024 * 1024)?;
        state.set_send_buffer_size((&socket).into(), 4 * 1024 * 1024)?;
        Ok(Self { socket, state })
    }

    /// Sends datagrams of this size; all are sent before it returns.
    pub(crate) fn send(&self, destination: SocketAddr, contents: &[u8], size: usize) -> Result<()> {
        let transmit = Transmit { destination, ecn: None, contents, segment_size: Some(size), src_ip: None };
        loop {
            match self.state.try_send((&self.socket).into(), &transmit) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                sent => return Ok(sent?),
            }
        }
    }

    /// Receives what is there: calls back with each group, its size of one datagram, and its sender.
    pub(crate) fn receive(
        &self,
        basin: &mut Basin,
        mut each: impl FnMut(&mut [u8], usize, SocketAddr) -> Result<()>,
    ) -> Result<u32> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut slots = basin.0.chunks_mut(GROUP);
        let mut slots: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        let received = match self.state.recv((&self.socket).into(), &mut slots, &mut metas) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            received => received?,
        };
        let mut count = 0;
        for (meta, slot) in metas.iter().zip(&mut slots).take(received) {
            count += u32::try_from(meta.len.div_ceil(meta.stride.max(1)))?;
            each(slot.get_mut(..meta.len).unwrap_or_default(), meta.stride, meta.addr)?;
        }
        Ok(count)
    }
}

impl Basin {
    pub(crate) fn new() -> Self {
        Self(vec![0; GROUP * BATCH_SIZE])
    }
}
