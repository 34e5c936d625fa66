//! Clients that come over TCP (RFC 8656 §3.1, RFC 8489 §6.2.2): for networks that let no datagram out.
//!
//! Each stream has a task that takes messages out of it and puts answers in. All messages go through one
//! bounded queue to the relay, which handles them one at a time, like datagrams; a full queue holds the
//! streams up. Answers wait in a bounded queue of their stream's; a full one loses them, because a relay
//! that waits for one slow client keeps all others waiting.
//!
//! A stream that holds an allocation may be silent; one that holds none is closed after a while, whatever it
//! says. When a stream ends, on whatever path, its client has left and its allocation goes.

use std::{io, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use switchhook_core::stun;
use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::TcpListener,
    sync::{
        Mutex as AsyncMutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::{sleep, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    clients::{Arrival, Client, Clients, Transport},
    limits,
    metrics::Metrics,
    open::{Open, Place},
    table::Table,
    wire::is_channel_data,
};

/// All streams of one port. Dropped, it closes them.
pub(crate) struct Streams {
    addr: SocketAddr,
    arrivals: AsyncMutex<Receiver<Arrived>>,
    open: Arc<Open>,
    _stop: DropGuard,
}

enum Arrived {
    Message(Vec<u8>, SocketAddr),
    /// The last of a stream; its successor begins when this has been taken.
    Left(Place),
}

impl Streams {
    /// Accepts streams, in tasks of the tracker.
    pub(crate) fn accept(
        listener: TcpListener,
        table: Arc<Table>,
        metrics: Metrics,
        tracker: &TaskTracker,
    ) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let (sender, arrivals) = channel(limits::ARRIVALS);
        let (open, stop) = (Arc::new(Open::new()), CancellationToken::new());
        let door = Door { open: Arc::clone(&open), sender, table, metrics, stop: stop.clone() };
        tracker.spawn(door.accept_all(listener, tracker.clone()));
        Ok(Self { addr, arrivals: AsyncMutex::new(arrivals), open, _stop: stop.drop_guard() })
    }
}

#[async_trait]
impl Clients for Streams {
    async fn receive(&self, buffer: &mut [u8]) -> Arrival {
        match self.arrivals.lock().await.recv().await {
            Some(Arrived::Message(message, from)) => {
                let length = buffer.iter_mut().zip(&message).map(|(to, from)| *to = *from).count();
                Arrival::Message { length, from }
            }
            Some(Arrived::Left(place)) => Arrival::Left(place.from),
            // Nobody accepts any more: the relay is about to be dropped.
            None => std::future::pending().await,
        }
    }

    async fn deliver(&self, message: &[u8], to: SocketAddr) {
        let stream = self.open.answers_to(to);
        if stream.is_none_or(|stream| stream.try_send(message.to_vec()).is_err()) {
            tracing::trace!(client = %to, "no room for a message");
        }
    }

    fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

/// What every stream's task shares.
#[derive(Clone)]
struct Door {
    open: Arc<Open>,
    sender: Sender<Arrived>,
    table: Arc<Table>,
    metrics: Metrics,
    stop: CancellationToken,
}

impl Door {
    async fn accept_all(self, listener: TcpListener, tracker: TaskTracker) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            let Ok((stream, from)) = accepted else {
                sleep(limits::ACCEPT_PAUSE).await;
                continue;
            };
            let Some((place, answers)) = self.open.admit(from) else {
                self.metrics.streams_refused.inc();
                continue;
            };
            // Media does not wait for more to fill a segment.
            drop(stream.set_nodelay(true));
            tracker.spawn(self.clone().serve(stream, place, answers));
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite, place: Place, answers: Receiver<Vec<u8>>) {
        self.metrics.streams.inc();
        let client = Client { transport: Transport::Tcp, addr: place.from };
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.holds_nothing(client) => {}
            () = self.exchange(stream, client, &place, answers) => {}
        }
        // Without a relay there is nothing left to give up.
        drop(self.sender.send(Arrived::Left(place)).await);
        self.metrics.streams.dec();
    }

    /// Looks at a stream from time to time, and returns when it holds no allocation.
    async fn holds_nothing(&self, client: Client) {
        loop {
            sleep(limits::WITHOUT_ALLOCATION).await;
            if !self.table.holds(client) {
                return;
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite,
        client: Client,
        place: &Place,
        mut answers: Receiver<Vec<u8>>,
    ) {
        place.predecessor_left().await;
        // Who has asked nothing has no answers: these are the predecessor's.
        while answers.try_recv().is_ok() {}
        let (input, output) = tokio::io::split(stream);
        tokio::select! {
            () = self.take_in(BufReader::new(input), client) => {}
            () = give_out(output, answers) => {}
        }
    }

    /// Hands messages on until the stream ends or breaks the rules.
    async fn take_in(&self, mut input: impl AsyncBufRead + Unpin, client: Client) {
        let mut held = false;
        while input.fill_buf().await.is_ok_and(|bytes| !bytes.is_empty()) {
            // Asked again only until it does: on the path of data there is no lock.
            held = held || self.table.holds(client);
            let Ok(Some(message)) = timeout(limits::MESSAGE, read(&mut input, held)).await else { return };
            if message.len() > limits::LARGEST {
                continue;
            }
            if self.sender.send(Arrived::Message(message, client.addr)).await.is_err() {
                return;
            }
        }
    }
}

async fn give_out(mut output: impl AsyncWrite + Unpin, mut answers: Receiver<Vec<u8>>) {
    while let Some(message) = answers.recv().await {
        let Ok(Ok(())) = timeout(limits::MESSAGE, output.write_all(&message)).await else { return };
    }
}

/// Reads one message: STUN, or data of a channel if the client can have one, padded in streams
/// (RFC 8656 §12.5). Whatever else begins so, no more of it is read.
async fn read(input: &mut (impl AsyncRead + Unpin), may_have_channels: bool) -> Option<Vec<u8>> {
    let mut begin = [0; 4];
    input.read_exact(&mut begin).await.ok()?;
    let [first, _, l0, l1] = begin;
    let length = if is_channel_data(first) {
        let data = usize::from(u16::from_be_bytes([l0, l1])).next_multiple_of(4);
        may_have_channels.then_some(begin.len() + data)?
    } else {
        stun::frame_length(begin).ok().filter(|length| *length <= limits::LARGEST)?
    };
    let mut message = begin.to_vec();
    message.resize(length, 0);
    input.read_exact(message.get_mut(begin.len()..)?).await.ok()?;
    Some(message)
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};
    use tokio_util::task::TaskTracker;

    use super::*;

    const FROM: &str = "192.0.2.1:1";

    /// A Binding request with this number for its transaction.
    fn request(number: u8) -> Vec<u8> {
        let mut out = Vec::new();
        stun::Writer::new(&mut out, stun::message_type::BINDING_REQUEST, [number; 12]);
        out
    }

    impl Door {
        /// A door to a relay that takes one message at a time.
        fn narrow() -> (Self, Receiver<Arrived>) {
            let (sender, arrivals) = channel(1);
            let metrics = Metrics::default();
            let table = Arc::new(Table::new(metrics.clone()));
            let (open, stop) = (Arc::new(Open::new()), CancellationToken::new());
            (Self { open, sender, table, metrics, stop }, arrivals)
        }

        async fn comes(&self, messages: &[u8]) -> DuplexStream {
            let (mut theirs, ours) = duplex(64);
            theirs.write_all(messages).await.unwrap();
            let (place, answers) = self.open.admit(FROM.parse().unwrap()).unwrap();
            TaskTracker::new().spawn(self.clone().serve(ours, place, answers));
            theirs
        }
    }

    #[tokio::test]
    async fn an_old_streams_goodbye_comes_before_its_successor_and_takes_nothing_of_it() {
        let (door, mut arrivals) = Door::narrow();
        // The relay is busy with the first request, and with the second the old stream waits for it.
        let old = door.comes(&[request(1), request(2)].concat()).await;
        while door.sender.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        drop(old);
        let mut new = door.comes(&request(3)).await;
        while door.metrics.streams.get() < 2 {
            tokio::task::yield_now().await;
        }

        let mut arrived = Vec::new();
        while arrived.last() != Some(&Some(request(3))) {
            arrived.push(match arrivals.recv().await.unwrap() {
                Arrived::Message(message, _) => Some(message),
                Arrived::Left(_) => None,
            });
        }
        assert_eq!(arrived, [Some(request(1)), None, Some(request(3))]);

        door.open.answers_to(FROM.parse().unwrap()).unwrap().try_send(b"answer".to_vec()).unwrap();
        let mut answer = [0; 6];
        new.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }
}
