//! TURN over TCP and TLS: messages one after the other, each of the length that it says (RFC 8656 §12.5, RFC 8489
//! §6.2.2).

use core::{any::Any, fmt, net::SocketAddr};
use std::io;

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    sync::Mutex,
    time::timeout,
};
use webrtc_util::Conn;

use super::{any_of, datagrams::unsupported, is_for_client};
use crate::limits;

/// A connection to a relay host, whatever carries it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The connection, as the crate `turn` wants it.
pub(super) struct Messages {
    server: SocketAddr,
    incoming: Mutex<Incoming>,
    outgoing: Mutex<WriteHalf<Box<dyn Stream>>>,
}

struct Incoming {
    stream: ReadHalf<Box<dyn Stream>>,
    /// What was received and not yet taken. It outlives a receiver that is cancelled.
    buffered: Vec<u8>,
}

/// What stands before the length of a message: STUN's type, or the number of a channel.
const BEFORE_LENGTH: usize = 2;

impl Messages {
    pub(super) fn new(server: SocketAddr, stream: Box<dyn Stream>) -> Self {
        let (reading, writing) = split(stream);
        let incoming = Mutex::new(Incoming { stream: reading, buffered: Vec::new() });
        Self { server, incoming, outgoing: Mutex::new(writing) }
    }
}

impl Incoming {
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(message) = take(&mut self.buffered)? {
                return Ok(message);
            }
            if self.stream.read_buf(&mut self.buffered).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

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

#[async_trait]
impl Conn for Messages {
    async fn connect(&self, _: SocketAddr) -> webrtc_util::Result<()> {
        Err(unsupported())
    }

    async fn recv(&self, _: &mut [u8]) -> webrtc_util::Result<usize> {
        Err(unsupported())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> webrtc_util::Result<(usize, SocketAddr)> {
        loop {
            let message = self.incoming.lock().await.next().await?;
            if let Some(out) = buffer.get_mut(..message.len()).filter(|_| is_for_client(&message)) {
                out.copy_from_slice(&message);
                return Ok((message.len(), self.server));
            }
        }
    }

    async fn send(&self, _: &[u8]) -> webrtc_util::Result<usize> {
        Err(unsupported())
    }

    async fn send_to(&self, message: &[u8], _: SocketAddr) -> webrtc_util::Result<usize> {
        let missing = message.len().next_multiple_of(4) - message.len();
        let whole = [message, [0; 4].get(..missing).unwrap_or_default()].concat();
        let mut outgoing = self.outgoing.lock().await;
        let written = timeout(limits::WRITE, async {
            outgoing.write_all(&whole).await?;
            outgoing.flush().await
        });
        written.await.map_err(|_late| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(message.len())
    }

    fn local_addr(&self) -> webrtc_util::Result<SocketAddr> {
        Ok(any_of(self.server))
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        Some(self.server)
    }

    async fn close(&self) -> webrtc_util::Result<()> {
        Ok(self.outgoing.lock().await.shutdown().await?)
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("server", &self.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// REL-3.tcp
    #[tokio::test]
    async fn rel_3_messages_are_taken_from_a_stream_one_by_one_however_they_come() {
        let (ours, mut relays) = duplex(1_024);
        let server: SocketAddr = "192.0.2.1:3478".parse().unwrap();
        let messages = Messages::new(server, Box::new(ours));
        let indication = [&[0, 0x17, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
        let data = b"\x40\x01\0\x02hi\0\0\x40\x01\0\x01!\0\0\0";

        let mut buffer = [0; 64];
        let (receiving, ()) = tokio::join!(
            async {
                let mut heard = Vec::new();
                for _ in 0..3 {
                    let (length, from) = messages.recv_from(&mut buffer).await.unwrap();
                    assert_eq!(from, server);
                    heard.push(buffer[..length].to_vec());
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

        messages.send_to(b"\x40\x01\0\x03abc", server).await.unwrap();
        let mut sent = [0; 8];
        relays.read_exact(&mut sent).await.unwrap();
        assert_eq!(&sent, b"\x40\x01\0\x03abc\0", "padded");

        relays.write_all(&[0x80]).await.unwrap();
        messages.recv_from(&mut buffer).await.unwrap_err();
    }

    #[test]
    fn a_message_is_as_long_as_it_says() {
        assert_eq!(extent(&[0, 1, 0]), None);
        assert_eq!(extent(&[0, 1, 0, 8]), Some(Extent { message: 28, padded: 28 }));
        assert_eq!(extent(b"\x40\0\0\x05"), Some(Extent { message: 9, padded: 12 }));
    }
}
