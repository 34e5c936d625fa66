//! Clients that come over TCP or TLS (RFC 8656 §3.1, RFC 8489 §6.2.2): for networks that let no datagram out.
//!
//! Each stream has a task that takes messages out of it and puts answers in. All messages of a stream go through
//! the inbox of one shard, which handles them one at a time, like datagrams; a full inbox holds the streams up.
//! What is for the client waits in two bounded queues of the stream's. A full one of data loses it, because a relay
//! that waits for one slow client keeps all others waiting. Answers are not lost to data, since over a stream nobody
//! asks again (RFC 8489 §6.2.2).
//!
//! A stream that holds an allocation may be silent; one that holds none is closed after a while, whatever it
//! says. When a stream ends, on whatever path, its client has left: its allocation goes, unless it has a ticket.
//!
//! A stream that asks to be joined with a connection of a peer's, and is, says no messages any more ([`connections`]): what
//! came of them before is answered first.
//!
//! [`connections`]: crate::connections

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use switchhook_core::turn::{self, CHANNEL_HEADER, is_channel_data};
use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader, join, split,
    },
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    clients::{Stream, Waiting},
    connections::{self, PeerConnection, is_connection_bind},
    host::Host,
    inbox::{Inbox, Order},
    limits,
    places::{Place, Places},
};

/// Where the streams of one port come in.
#[derive(Clone)]
pub(crate) struct Door {
    /// Of streams that are encrypted.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) places: Arc<Places>,
    pub(crate) inboxes: Arc<[Inbox]>,
    /// How many streams there have been, by all ways.
    pub(crate) numbers: Arc<AtomicU64>,
    pub(crate) host: Arc<Host>,
    pub(crate) stop: CancellationToken,
}

impl Door {
    /// Accepts streams, in tasks of the tracker, until told to stop.
    pub(crate) async fn accept_all(self, listener: TcpListener) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            let Ok((stream, from)) = accepted else {
                sleep(limits::ACCEPT_PAUSE).await;
                continue;
            };
            let Some(place) = self.places.take(from.ip().into()) else {
                self.host.metrics.streams_refused.inc();
                continue;
            };
            // Media does not wait for more to fill a segment.
            drop(stream.set_nodelay(true));
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let (known, waiting) = Stream::new(number, from);
            self.host.tracker.spawn(self.clone().admit(stream, Arc::new(known), waiting, place));
        }
    }

    /// Serves a stream, after its handshake if it has one.
    async fn admit(self, stream: TcpStream, known: Arc<Stream>, waiting: Waiting, _place: Place) {
        self.host.metrics.streams.inc();
        match &self.tls {
            None => self.serve(stream, &known, waiting).await,
            Some(tls) => {
                let shaken =
                    self.stop.run_until_cancelled(timeout(limits::HANDSHAKE, tls.accept(stream))).await;
                match shaken {
                    Some(Ok(Ok(stream))) => self.serve(stream, &known, waiting).await,
                    Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
                    Some(Err(_)) | None => {}
                }
            }
        }
        self.host.metrics.streams.dec();
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite, known: &Arc<Stream>, waiting: Waiting) {
        let Some(inbox) = self.inbox(known) else { return };
        let (input, mut output) = split(stream);
        let mut input = BufReader::new(input);
        let joined = self.converse((&mut input, &mut output), (known, waiting), inbox).await;
        // Without a shard there is nothing left to give up.
        drop(inbox.give(Order::Left(Arc::clone(known))).await);
        if let Some(peer) = joined {
            let carried = connections::join(join(input, output), peer, &self.host);
            self.stop.run_until_cancelled(carried).await;
        }
    }

    /// Takes messages and gives answers, until the stream is to end, or is joined with a peer's connection.
    async fn converse(
        &self,
        (input, output): (impl AsyncBufRead + Unpin, impl AsyncWrite + Unpin),
        (known, waiting): (&Arc<Stream>, Waiting),
        inbox: &Inbox,
    ) -> Option<PeerConnection> {
        let mut given = pin!(give_out(output, waiting));
        let joined = tokio::select! {
            () = self.stop.cancelled() => None,
            () = holds_nothing(known) => None,
            joined = self.take_in(input, known, inbox) => joined,
            _ = &mut given => None,
        };
        // The client begins when it is answered, and the peer is heard after that.
        let peer = joined?;
        self.stop.run_until_cancelled(given).await?.then_some(peer)
    }

    /// Hands messages on until the stream ends or breaks the rules, or is joined with a peer's connection.
    async fn take_in(
        &self,
        mut input: impl AsyncBufRead + Unpin,
        stream: &Arc<Stream>,
        inbox: &Inbox,
    ) -> Option<PeerConnection> {
        while input.fill_buf().await.is_ok_and(|bytes| !bytes.is_empty()) {
            let message = timeout(limits::MESSAGE, read(&mut input, stream.has_held())).await.ok()??;
            if is_connection_bind(&message) && !stream.holds() {
                if let Some(peer) = self.host.bind_connection(stream, &message) {
                    return Some(peer);
                }
                continue;
            }
            inbox.give(Order::Message(message, Arc::clone(stream))).await.ok()?;
        }
        None
    }

    /// Streams take turns in choosing a shard.
    fn inbox(&self, stream: &Stream) -> Option<&Inbox> {
        let shards = u64::try_from(self.inboxes.len()).ok()?;
        let shard = stream.number.checked_rem(shards)?;
        self.inboxes.get(usize::try_from(shard).ok()?)
    }
}

/// Looks at a stream from time to time, and returns when it holds no allocation.
async fn holds_nothing(stream: &Stream) {
    loop {
        sleep(limits::WITHOUT_ALLOCATION).await;
        if !stream.holds() {
            return;
        }
    }
}

/// Writes what waits, until the last message, or until the client does not take it; whether that was the last.
async fn give_out(mut output: impl AsyncWrite + Unpin, mut waiting: Waiting) -> bool {
    while let Some((message, is_last)) = waiting.next().await {
        if !matches!(timeout(limits::MESSAGE, write(&mut output, &message)).await, Ok(Ok(()))) {
            return false;
        }
        if is_last {
            return true;
        }
    }
    false
}

/// TLS keeps what is not flushed.
async fn write(output: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    output.write_all(message).await?;
    output.flush().await
}

/// Reads one message, as long as its first bytes say. Where they are no message's, no more is read.
async fn read(input: &mut (impl AsyncRead + Unpin), has_held: bool) -> Option<Vec<u8>> {
    let mut begin = [0; CHANNEL_HEADER];
    input.read_exact(&mut begin).await.ok()?;
    let length = frame_length(begin, has_held)?;
    let rest = u64::try_from(length.checked_sub(begin.len())?).ok()?;
    let mut message = begin.to_vec();
    // Memory is taken for what has come, not for what is announced.
    input.take(rest).read_to_end(&mut message).await.ok()?;
    (message.len() == length).then_some(message)
}

/// The length of a message.
///
/// Whoever has held an allocation may say data of channels, and messages of any length, and go on for a while when
/// the allocation is over: what cannot be relayed is lost like a datagram, and the next message is understood.
fn frame_length(begin: [u8; CHANNEL_HEADER], has_held: bool) -> Option<usize> {
    let length = turn::frame_length(begin)?;
    let is_strangers = !is_channel_data(begin[0]) && length <= limits::STRANGERS_LARGEST;
    (has_held || is_strangers).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_ends_where_it_says_and_only_who_has_held_an_allocation_has_channels() {
        let mut stream = &b"\x40\x01\0\x05hello\0\0\0\x40\x02\0\0"[..];
        assert_eq!(read(&mut stream, true).await.unwrap(), b"\x40\x01\0\x05hello\0\0\0");
        assert_eq!(read(&mut stream, false).await, None);
        assert_eq!(read(&mut &b"GET / HTTP/1.1"[..], true).await, None);
        assert_eq!(read(&mut &b"\0\x01\0\x03"[..], true).await, None, "no multiple of four");
        assert_eq!(read(&mut &b"\x40\x01\0\x05hello"[..], true).await, None, "cut");
    }

    #[tokio::test]
    async fn only_who_has_held_an_allocation_says_much_at_once() {
        let largest = [&[0, 0x16, 0xFF, 0xFC][..], &vec![0; 16 + 0xFFFC]].concat();
        assert_eq!(read(&mut largest.as_slice(), true).await, Some(largest.clone()));
        assert_eq!(read(&mut largest.as_slice(), false).await, None);
    }
}
