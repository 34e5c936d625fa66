//! What the crate `turn` takes for a socket: all clients of one way, with the gate before them.
//!
//! The crate takes only nonces that it made itself, keeps each of them for ever until it is used
//! too late, and makes one for every request without credentials. So it sees one such request, of
//! our own, each half hour: the front puts it among the messages as if [`NOBODY`] had sent it,
//! keeps the nonce of the answer, and signs every client's request with it.

use std::{
    any::Any,
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use switchhook_core::stun::{Message, Writer, attribute as stun_attribute};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use webrtc_util::Conn;

use crate::{
    clients::{Arrival, Client, Clients},
    gate::{Gate, Judgement},
    limits,
    relayed::unconnected,
    wire::{is_channel_data, message_type},
};

/// Where the front's own request comes from; no datagram does.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

pub(crate) struct Front<C> {
    clients: C,
    gate: Gate,
    state: Mutex<State>,
    _until_closed: TaskTrackerToken,
}

#[derive(Default)]
struct State {
    /// The crate's nonce and when it was asked for.
    nonce: Option<(String, Instant)>,
    /// What the crate gets next: rewritten requests, in their order.
    ready: VecDeque<(Vec<u8>, SocketAddr)>,
    /// What came when the nonce was old.
    waiting: Option<Work>,
}

/// What is not simply passed on.
enum Work {
    Judge(Vec<u8>, SocketAddr),
    GiveUp(SocketAddr),
}

impl<C: Clients> Front<C> {
    pub(crate) fn new(clients: C, gate: Gate, token: TaskTrackerToken) -> Self {
        Self { clients, gate, state: Mutex::default(), _until_closed: token }
    }

    /// What the crate gets; `None` if it was answered or dropped here.
    async fn take(&self, work: Work) -> Option<(Vec<u8>, SocketAddr)> {
        let Some(nonce) = self.fresh_nonce() else {
            self.state().waiting = Some(work);
            return Some((ask_for_nonce(), NOBODY));
        };
        let (datagram, client) = match work {
            Work::Judge(datagram, client) => (datagram, client),
            Work::GiveUp(client) => return Some((self.gate.farewell(client, &nonce)?, client)),
        };
        match self.gate.judge(&datagram, client, &nonce) {
            Judgement::Forward => Some((datagram, client)),
            Judgement::ForwardAs(requests) => {
                let mut state = self.state();
                state.ready.extend(requests.into_iter().map(|request| (request, client)));
                state.ready.pop_front()
            }
            Judgement::Answer(answer) => {
                self.clients.deliver(&answer, client).await;
                None
            }
            Judgement::Drop => None,
        }
    }

    fn fresh_nonce(&self) -> Option<String> {
        let nonce = self.state().nonce.clone();
        nonce.filter(|(_, since)| since.elapsed() < limits::CRATE_NONCE_LIFE).map(|(nonce, _)| nonce)
    }

    fn keep_nonce(&self, answer: &[u8]) {
        let nonce = Message::parse(answer).ok().and_then(|answer| answer.attribute(stun_attribute::NONCE));
        let Some(nonce) = nonce.and_then(|nonce| str::from_utf8(nonce).ok()) else { return };
        self.state().nonce = Some((nonce.to_owned(), Instant::now()));
    }

    fn note_answer(&self, answer: &[u8], client: SocketAddr) {
        // The first two bytes are the type; anything else the crate sends is data.
        if answer.first_chunk().map(|kind| u16::from_be_bytes(*kind)) == Some(message_type::ALLOCATE_SUCCESS)
        {
            let client = Client { transport: self.gate.transport, addr: client };
            self.gate.table.answered(client, answer);
        }
    }

    /// Nothing in here is left half done by a panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<C: Clients> Conn for Front<C> {
    /// The crate stops serving when this fails, so it never does.
    async fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), webrtc_util::Error> {
        loop {
            let ready = self.state().ready.pop_front();
            if let Some((request, client)) = ready {
                return Ok((copy(&request, buf), client));
            }
            let waiting = self.state().waiting.take();
            let work = if let Some(waiting) = waiting {
                waiting
            } else {
                match self.clients.receive(buf).await {
                    Arrival::Left(client) => Work::GiveUp(client),
                    Arrival::Message { length, from } => {
                        let message = buf.get(..length).unwrap_or_default();
                        if message.first().is_some_and(|first| is_channel_data(*first)) {
                            return Ok((length, from)); // the path of a packet: no copy, no lock
                        }
                        Work::Judge(message.to_vec(), from)
                    }
                }
            };
            if let Some((request, client)) = self.take(work).await {
                return Ok((copy(&request, buf), client));
            }
        }
    }

    async fn send_to(&self, buf: &[u8], target: SocketAddr) -> Result<usize, webrtc_util::Error> {
        if target == NOBODY {
            self.keep_nonce(buf);
        } else {
            self.note_answer(buf, target);
            self.clients.deliver(buf, target).await;
        }
        Ok(buf.len())
    }

    fn local_addr(&self) -> Result<SocketAddr, webrtc_util::Error> {
        Ok(self.clients.address()?)
    }

    /// The crate says this at the end of every allocation; it serves all of them.
    async fn close(&self) -> Result<(), webrtc_util::Error> {
        Ok(())
    }

    async fn connect(&self, _: SocketAddr) -> Result<(), webrtc_util::Error> {
        Err(unconnected())
    }

    async fn recv(&self, _: &mut [u8]) -> Result<usize, webrtc_util::Error> {
        Err(unconnected())
    }

    async fn send(&self, _: &[u8]) -> Result<usize, webrtc_util::Error> {
        Err(unconnected())
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

fn ask_for_nonce() -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out, message_type::ALLOCATE, [0; 12]);
    out
}

/// Copies as much as fits; the crate's buffer is as large as the largest datagram that it reads.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    to.iter_mut().zip(from).map(|(to, from)| *to = *from).count()
}
