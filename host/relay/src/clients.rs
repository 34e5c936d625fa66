//! Clients, and the ways by which they come.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc::Sender;

/// Who asks, for as long as it may be asked about: an address of datagrams, or one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    Datagrams(SocketAddr),
    /// A number that no other stream gets.
    Stream(u64),
}

/// A client, and how it is answered.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Where it is seen.
    pub(crate) addr: SocketAddr,
    /// Its stream, if it did not come by datagrams.
    pub(crate) stream: Option<Arc<Stream>>,
}

/// What the relay knows of a stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) number: u64,
    pub(crate) from: SocketAddr,
    answers: Sender<Vec<u8>>,
    /// Whether it holds an allocation: then it may be silent.
    holds: AtomicBool,
    /// Whether it has ever held one: then data may still be on its way.
    has_held: AtomicBool,
}

impl Caller {
    pub(crate) const fn by_datagrams(addr: SocketAddr) -> Self {
        Self { addr, stream: None }
    }

    pub(crate) fn by_stream(stream: Arc<Stream>) -> Self {
        Self { addr: stream.from, stream: Some(stream) }
    }

    /// Whether it holds an allocation; datagrams need not be told.
    pub(crate) fn holds(&self, holds: bool) {
        if let Some(stream) = &self.stream {
            stream.set_holds(holds);
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.stream.as_ref().map_or(Client::Datagrams(self.addr), |stream| Client::Stream(stream.number))
    }
}

impl Stream {
    pub(crate) const fn new(number: u64, from: SocketAddr, answers: Sender<Vec<u8>>) -> Self {
        Self { number, from, answers, holds: AtomicBool::new(false), has_held: AtomicBool::new(false) }
    }

    /// Puts a message in, or loses it where there is no room, as datagrams are: one slow client must not
    /// keep all others waiting.
    pub(crate) fn deliver(&self, head: &[u8], data: &[u8]) {
        let length = head.len() + data.len();
        let mut message = Vec::with_capacity(length.next_multiple_of(4));
        message.extend_from_slice(head);
        message.extend_from_slice(data);
        // Streams pad the data of channels (RFC 8656 §12.5); STUN messages end so anyway.
        message.resize(length.next_multiple_of(4), 0);
        if self.answers.try_send(message).is_err() {
            tracing::trace!(client = %self.from, "no room for a message");
        }
    }

    pub(crate) fn set_holds(&self, holds: bool) {
        self.has_held.fetch_or(holds, Ordering::Relaxed);
        self.holds.store(holds, Ordering::Relaxed);
    }

    pub(crate) fn has_held(&self) -> bool {
        self.has_held.load(Ordering::Relaxed)
    }

    pub(crate) fn holds(&self) -> bool {
        self.holds.load(Ordering::Relaxed)
    }
}
