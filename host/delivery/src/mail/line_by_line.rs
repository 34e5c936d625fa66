//! A connection to a mail server that is read no further than one line at a time.
//!
//! After STARTTLS nothing counts that was said in clear (RFC 3207 §4.2, §6). A reader that takes whatever has come keeps
//! what somebody on the way put behind the server's "go ahead", and takes it for the first answer of the hidden
//! conversation. Here those bytes stay in the connection: they are the first that the TLS handshake reads, which fails of
//! them.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncBufRead as _, AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::TcpStream,
};

/// The connection.
#[derive(Debug)]
pub(super) struct LineByLine<S>(BufReader<S>);

impl<S: AsyncRead> LineByLine<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LineByLine<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let has = ready!(Pin::new(&mut self.0).poll_fill_buf(context))?;
        let line = has.iter().position(|byte| *byte == b'\n').map_or(has.len(), |end| end + 1);
        let count = line.min(into.remaining());
        into.put_slice(has.get(..count).unwrap_or_default());
        Pin::new(&mut self.0).consume(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for LineByLine<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl AsyncTokioStream for LineByLine<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn reg_7_what_follows_a_line_waits_for_the_next_read_however_large_that_is() {
        let said: &[u8] = b"220 go ahead\r\n250-injected\r\n250 fine";
        let mut lines = LineByLine::new(said);
        let mut buffer = [0; 1024];
        for line in [&b"220 go ahead\r\n"[..], b"250-injected\r\n", b"250 fine", b""] {
            let count = lines.read(&mut buffer).await.unwrap();
            assert_eq!(buffer.get(..count), Some(line));
        }
        let mut short = [0; 4];
        let mut lines = LineByLine::new(said);
        assert_eq!((lines.read(&mut short).await.unwrap(), &short), (4, b"220 "));
    }
}
