//! A side of a joined pair, read no faster than the bandwidth of its session and tenant has it.
//!
//! A datagram too much is lost; of a stream nothing may be, so it waits. What was read is paid for before more is read:
//! nobody knows how much there will be, and what nobody reads holds up who sends it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use prometheus_client::metrics::counter::Counter;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::links::Links;
use crate::{host::Host, limits};

pub(crate) struct Paced<S> {
    side: S,
    links: Arc<Links>,
    host: Arc<Host>,
    /// What was read of it, in bytes.
    counter: Counter,
    /// Bytes that were read and are not paid for.
    owed: u64,
    /// Until then nothing is paid.
    wait: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(crate) fn new(side: S, links: &Arc<Links>, host: &Arc<Host>, counter: &Counter) -> Self {
        let (links, host, counter) = (Arc::clone(links), Arc::clone(host), counter.clone());
        Self { side, links, host, counter, owed: 0, wait: None }
    }

    /// Pays what is owed, as much at a time as is ever to be had at once.
    fn pay(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.owed > 0 {
            let part = self.owed.min(self.links.meter.most());
            if self.links.meter.lets_pass(part, self.host.age(Instant::now())) {
                self.owed -= part;
                continue;
            }
            let wait = self.wait.get_or_insert_with(|| Box::pin(sleep(limits::PACE)));
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        Poll::Ready(())
    }

    fn has_read(&mut self, bytes: u64) {
        self.counter.inc_by(bytes);
        // The control connection may be silent meanwhile: the allocation is in use.
        self.links.seat.hear(self.host.age(Instant::now()));
        if !self.links.meter.is_open() {
            self.owed += bytes;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.pay(context));
        let before = into.filled().len();
        ready!(Pin::new(&mut self.side).poll_read(context, into))?;
        let read = u64::try_from(into.filled().len() - before).unwrap_or_default();
        if read > 0 {
            self.has_read(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.side).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.side).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.side).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use switchhook_core::{
        rate::Rate,
        seal::{RootKeys, Scope},
    };
    use switchhook_protocol::time::Timestamp;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;
    use crate::{RelayConfig, bandwidth::Bandwidth, connections::links::tests::links_of};

    /// Reads so much from a side whose session has 1 000 bytes a second; with how long that took.
    async fn read(length: usize) -> (Vec<u8>, f64) {
        let name = "r".parse().unwrap();
        let keys = RootKeys::new([1; 32], []).ring(Scope::Relay(&name));
        let clock = Arc::new(|| Timestamp::from_millis(0));
        let host = Arc::new(Host::new(RelayConfig::new(name), keys, clock));
        let each_session = Rate { burst: 1_000, per_second: 1_000 };
        let links = links_of("d1", 1, Bandwidth { each_session, ..Bandwidth::default() });
        let (mut far, near) = duplex(length);
        far.write_all(&vec![7; length]).await.unwrap();
        drop(far);
        let counter = Counter::default();
        let (began, mut came) = (Instant::now(), Vec::new());
        Paced::new(near, &links, &host, &counter).read_to_end(&mut came).await.unwrap();
        assert_eq!(counter.get(), u64::try_from(came.len()).unwrap());
        (came, began.elapsed().as_secs_f64())
    }

    #[tokio::test(start_paused = true)]
    async fn rel_3_what_the_bandwidth_does_not_have_yet_is_waited_for_and_not_lost() {
        let (came, took) = read(5_500).await;
        assert_eq!(came, [7; 5_500]);
        assert!((4.5..4.6).contains(&took), "a thousand at once, the rest later: {took} s");
        let (came, took) = read(1_000).await;
        assert_eq!((came.len(), took), (1_000, 0.0));
    }
}
