//! Clients, and the ways by which they come.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::limits;

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
    answers: Sender<Answer>,
    data: Sender<Vec<u8>>,
    /// Whether it holds an allocation: then it may be silent.
    holds: AtomicBool,
    /// Whether it has ever held one: then data may still be on its way.
    has_held: AtomicBool,
}

/// An answer that waits for the client of a stream.
#[derive(Debug)]
struct Answer {
    message: Vec<u8>,
    /// Nothing follows that is a message.
    is_last: bool,
}

/// What waits for the client of a stream.
pub(crate) struct Waiting {
    answers: Receiver<Answer>,
    data: Receiver<Vec<u8>>,
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
    pub(crate) fn new(number: u64, from: SocketAddr) -> (Self, Waiting) {
        let (answers, waiting_answers) = channel(limits::ANSWERS);
        let (data, waiting_data) = channel(limits::WAITING);
        let [holds, has_held] = [false, false].map(AtomicBool::new);
        let waiting = Waiting { answers: waiting_answers, data: waiting_data };
        (Self { number, from, answers, data, holds, has_held }, waiting)
    }

    /// Puts an answer in: it is lost to those of requests that nobody waited for, and never to data, since over a stream
    /// nobody asks again (RFC 8489 §6.2.2).
    pub(crate) fn answer(&self, answer: &[u8]) {
        self.give(answer, false);
    }

    /// The same with the last message that the relay has for the stream; whether there was room.
    pub(crate) fn answer_last(&self, answer: &[u8]) -> bool {
        self.give(answer, true)
    }

    fn give(&self, answer: &[u8], is_last: bool) -> bool {
        let given = self.answers.try_send(Answer { message: answer.to_vec(), is_last }).is_ok();
        if !given {
            tracing::trace!(client = %self.from, "no room for an answer");
        }
        given
    }

    /// Puts data in, or loses it where there is no room, as datagrams are: one slow client must not
    /// keep all others waiting.
    pub(crate) fn deliver(&self, head: &[u8], data: &[u8]) {
        let length = head.len() + data.len();
        let mut message = Vec::with_capacity(length.next_multiple_of(4));
        message.extend_from_slice(head);
        message.extend_from_slice(data);
        // Streams pad the data of channels (RFC 8656 §12.5); STUN messages end so anyway.
        message.resize(length.next_multiple_of(4), 0);
        if self.data.try_send(message).is_err() {
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

impl Waiting {
    /// The next message for the client, and whether it is the last; answers come before data, for nobody repeats them.
    /// None when the stream's client has left.
    pub(crate) async fn next(&mut self) -> Option<(Vec<u8>, bool)> {
        tokio::select! {
            biased;
            Some(answer) = self.answers.recv() => Some((answer.message, answer.is_last)),
            Some(data) = self.data.recv() => Some((data, false)),
            else => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// REL-3.tcp
    #[tokio::test]
    async fn rel_3_data_takes_no_room_from_answers_and_answers_come_first() {
        let (stream, mut waiting) = Stream::new(1, "192.0.2.1:9".parse().unwrap());
        for _ in 0..2 * limits::WAITING {
            stream.deliver(&[1; 4], &[]);
        }
        for _ in 0..2 * limits::ANSWERS {
            stream.answer(&[2]);
        }
        for _ in 0..limits::ANSWERS {
            assert_eq!(waiting.next().await, Some((vec![2], false)));
        }
        for _ in 0..limits::WAITING {
            assert_eq!(waiting.next().await, Some((vec![1; 4], false)));
        }
        drop(stream);
        assert_eq!(waiting.next().await, None, "what was too much is lost");
    }
}
