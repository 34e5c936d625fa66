//! Clients that come over TCP (RFC 8656 §3.1, RFC 8489 §6.2.2): for networks that let no datagram out.
//!
//! Each stream has a task that takes messages out of it and puts answers in. All messages go through one
//! bounded queue to the relay, which handles them one at a time, like datagrams; a full queue holds the
//! streams up. Answers wait in a bounded queue of their stream's; a full one loses them, because a relay
//! that waits for one slow client keeps all others waiting.
//!
//! A stream that holds an allocation may be silent; one that holds none is closed after a while. When a
//! stream ends, on whatever path, its client has left and its allocation goes.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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

/// The streams that are open, by their clients.
type Open = Mutex<HashMap<SocketAddr, Sender<Vec<u8>>>>;

enum Arrived {
    Message(Vec<u8>, SocketAddr),
    Left(SocketAddr),
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
        let (open, stop) = (Arc::new(Open::default()), CancellationToken::new());
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
            Some(Arrived::Left(client)) => Arrival::Left(client),
            // Nobody accepts any more: the relay is about to be dropped.
            None => std::future::pending().await,
        }
    }

    async fn deliver(&self, message: &[u8], to: SocketAddr) {
        let stream = lock(&self.open).get(&to).cloned();
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
            let (sender, answers) = channel(limits::WAITING);
            if !self.admit(from, sender) {
                self.metrics.streams_refused.inc();
                continue;
            }
            // Media does not wait for more to fill a segment.
            drop(stream.set_nodelay(true));
            tracker.spawn(self.clone().serve(stream, from, answers));
        }
    }

    fn admit(&self, from: SocketAddr, answers: Sender<Vec<u8>>) -> bool {
        let mut open = lock(&self.open);
        let has_room = open.len() < limits::STREAMS;
        if has_room {
            open.insert(from, answers);
        }
        drop(open);
        has_room
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite, from: SocketAddr, answers: Receiver<Vec<u8>>) {
        self.metrics.streams.inc();
        let (input, output) = tokio::io::split(stream);
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.take_in(BufReader::new(input), from) => {}
            () = give_out(output, answers) => {}
        }
        lock(&self.open).remove(&from);
        // Without a relay there is nothing left to give up.
        drop(self.sender.send(Arrived::Left(from)).await);
        self.metrics.streams.dec();
    }

    /// Hands messages on until the stream ends, breaks the rules, or is silent for no reason.
    async fn take_in(&self, mut input: impl AsyncBufRead + Unpin, from: SocketAddr) {
        let client = Client { transport: Transport::Tcp, addr: from };
        let mut held = false;
        loop {
            let waited = timeout(limits::SILENCE, input.fill_buf()).await;
            // Asked again only until it does: on the path of data there is no lock.
            held = held || self.table.holds(client);
            match waited {
                Err(_) if self.table.holds(client) => continue,
                Ok(Ok(bytes)) if !bytes.is_empty() => {}
                Err(_) | Ok(_) => return,
            }
            let Ok(Some(message)) = timeout(limits::MESSAGE, read(&mut input, held)).await else { return };
            if message.len() > limits::LARGEST {
                continue;
            }
            if self.sender.send(Arrived::Message(message, from)).await.is_err() {
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

/// Entries are inserted and removed at once: nothing is left half done by a panic.
fn lock(open: &Open) -> MutexGuard<'_, HashMap<SocketAddr, Sender<Vec<u8>>>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
