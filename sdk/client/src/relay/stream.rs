//! TURN over TCP and TLS: messages one after the other, each of the length that it says (RFC 8656 §12.5, RFC 8489
//! §6.2.2).

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{io, time::Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits;

/// A connection to a relay host, whatever carries it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The connection, in messages.
pub(super) struct Messages {
    stream: Box<dyn Stream>,
    /// What was received and not yet taken.
    incoming: Vec<u8>,
    /// What the connection has had no room for.
    outgoing: Vec<u8>,
    /// Since when it takes nothing.
    stuck: Option<Instant>,
}

/// What stands before the length of a message: STUN's type, or the number of a channel.
const BEFORE_LENGTH: usize = 2;

impl Messages {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, incoming: Vec::new(), outgoing: Vec::new(), stuck: None }
    }

    /// Has a message written, as soon as the connection takes it; without room it is lost.
    pub(super) fn send(&mut self, message: &[u8], cx: &mut Context<'_>) -> io::Result<()> {
        if self.outgoing.len() > limits::RELAY_STREAM {
            return Ok(());
        }
        let missing = message.len().next_multiple_of(4) - message.len();
        self.outgoing.extend_from_slice(message);
        self.outgoing.extend_from_slice([0; 4].get(..missing).unwrap_or_default());
        match self.poll_write_out(cx) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Receives a message: its length in the buffer. One that does not fit is passed over.
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            while let Some(message) = take(&mut self.incoming)? {
                if let Some(out) = buffer.get_mut(..message.len()) {
                    out.copy_from_slice(&message);
                    return Poll::Ready(Ok(message.len()));
                }
            }
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.incoming.extend_from_slice(read.filled());
        }
    }

    /// Writes what is left; one that takes nothing for long is dead.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        let before = self.outgoing.len();
        let written = self.poll_write_out(cx);
        if written.is_ready() || self.outgoing.len() < before {
            self.stuck = None;
        }
        if written.is_pending() && *self.stuck.get_or_insert(now) + limits::WRITE <= now {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.stuck.map(|since| since + limits::WRITE)
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.drain(..written);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

/// Read at a time.
const CHUNK: usize = 4_096;

/// Takes the first message, once all of it is there; what is neither STUN nor data of a channel ends the stream.
pub(crate) fn take(buffered: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    if buffered.first().is_some_and(|first| *first >= 0x80) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let Some(Extent { message, padded }) = extent(buffered).filter(|extent| buffered.len() >= extent.padded)
    else {
        return Ok(None);
    };
    let rest = buffered.split_off(padded);
    let mut taken = core::mem::replace(buffered, rest);
    taken.truncate(message);
    Ok(Some(taken))
}

/// How long the first message in there is.
#[derive(Debug, PartialEq, Eq)]
struct Extent {
    message: usize,
    /// With what fills it up to a multiple of four bytes.
    padded: usize,
}

fn extent(bytes: &[u8]) -> Option<Extent> {
    let ([first, _], rest) = bytes.split_first_chunk::<BEFORE_LENGTH>()?;
    let (length, _) = rest.split_first_chunk()?;
    // Data of a channel begins with 4 bytes, STUN with 20.
    let header = if *first < 0x40 { 20 } else { 4 };
    let message = header + usize::from(u16::from_be_bytes(*length));
    Some(Extent { message, padded: message.next_multiple_of(4) })
}

#[cfg(test)]
mod tests {
    use core::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    async fn received(messages: &mut Messages) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 64];
        let length = poll_fn(|cx| messages.poll_recv(cx, &mut buffer)).await?;
        Ok(buffer[..length].to_vec())
    }

    /// REL-3.tcp
    #[tokio::test]
    async fn rel_3_messages_are_taken_from_a_stream_one_by_one_however_they_come() {
        let (ours, mut relays) = duplex(1_024);
        let mut messages = Messages::new(Box::new(ours));
        let indication = [&[0, 0x17, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
        let data = b"\x40\x01\0\x02hi\0\0\x40\x01\0\x01!\0\0\0";

        let (receiving, ()) = tokio::join!(
            async {
                let mut heard = Vec::new();
                for _ in 0..3 {
                    heard.push(received(&mut messages).await.unwrap());
                }
                heard
            },
            async {
                for byte in [&indication[..], data].concat() {
                    relays.write_all(&[byte]).await.unwrap();
                }
            }
        );
        assert_eq!(receiving, [indication, b"\x40\x01\0\x02hi".to_vec(), b"\x40\x01\0\x01!".to_vec()]);

        poll_fn(|cx| Poll::Ready(messages.send(b"\x40\x01\0\x03abc", cx))).await.unwrap();
        let mut sent = [0; 8];
        relays.read_exact(&mut sent).await.unwrap();
        assert_eq!(&sent, b"\x40\x01\0\x03abc\0", "padded");

        relays.write_all(&[0x80]).await.unwrap();
        received(&mut messages).await.unwrap_err();
    }

    /// REL-3.tcp
    #[tokio::test(start_paused = true)]
    async fn rel_3_a_stream_that_takes_nothing_loses_what_is_too_much_and_is_given_up() {
        let (ours, mut relays) = duplex(8);
        let mut messages = Messages::new(Box::new(ours));
        for _ in 0..2 * limits::RELAY_STREAM / 8 {
            poll_fn(|cx| Poll::Ready(messages.send(b"\x40\x01\0\x04abcd", cx))).await.unwrap();
        }
        assert!(messages.outgoing.len() <= limits::RELAY_STREAM + 8);
        let now = tokio::time::Instant::now().into_std();
        let flushed = |messages: &mut Messages, at| {
            messages.poll_flush(&mut Context::from_waker(core::task::Waker::noop()), at)
        };
        assert!(flushed(&mut messages, now).is_pending());
        assert_eq!(messages.poll_timeout(), Some(now + limits::WRITE));

        relays.read_exact(&mut [0; 8]).await.unwrap();
        assert!(flushed(&mut messages, now + limits::WRITE).is_pending(), "it has taken something");

        let late = now + limits::WRITE * 2;
        assert!(matches!(flushed(&mut messages, late), Poll::Ready(Err(_))));
    }

    #[test]
    fn a_message_is_as_long_as_it_says() {
        assert_eq!(extent(&[0, 1, 0]), None);
        assert_eq!(extent(&[0, 1, 0, 8]), Some(Extent { message: 28, padded: 28 }));
        assert_eq!(extent(b"\x40\0\0\x05"), Some(Extent { message: 9, padded: 12 }));
    }
}
