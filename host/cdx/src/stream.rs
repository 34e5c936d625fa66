//! STUN in streams (RFC 8489 §6.2.2): for clients whose network lets no datagram out.
//!
//! A stream asks a few times and goes. What does not fit into its bounds ends it without an answer.

use std::{
    hash::RandomState,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use switchhook_core::{
    cdx,
    rate::Buckets,
    stun,
    subscriber::{Shares, Subscriber},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{limits, metrics::Metrics};

/// One port, for streams.
pub(crate) struct Streams {
    pub(crate) listener: TcpListener,
    pub(crate) limit: Buckets<RandomState>,
    pub(crate) started: Instant,
    pub(crate) metrics: Metrics,
}

impl Streams {
    pub(crate) async fn serve(self, tracker: TaskTracker, stop: CancellationToken) {
        let room = Arc::new(Mutex::new(Shares::new(limits::STREAMS, limits::STREAMS_EACH)));
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            let Ok((stream, from)) = accepted else {
                // A client that went before it was accepted, or no file left: either way, go on.
                sleep(limits::ACCEPT_PAUSE).await;
                continue;
            };
            let place = Place::take(&room, from.ip())
                .filter(|_| self.limit.take(Subscriber::from(from.ip()), self.started.elapsed()));
            let Some(place) = place else {
                self.metrics.streams_refused.inc();
                continue;
            };
            let (metrics, stop) = (self.metrics.clone(), stop.clone());
            tracker.spawn(async move {
                let answered = timeout(limits::STREAM_LIFE, answer_all(stream, from, &metrics));
                // Told to stop, out of time or done: the stream is closed, and nobody waits for more.
                stop.run_until_cancelled(answered).await;
                drop(place);
            });
        }
    }
}

/// A stream's place among those of its port; dropped, it is free.
struct Place {
    room: Arc<Mutex<Shares>>,
    of: IpAddr,
}

impl Place {
    fn take(room: &Arc<Mutex<Shares>>, of: IpAddr) -> Option<Self> {
        let taken = lock(room).take(of.into());
        taken.then(|| Self { room: Arc::clone(room), of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.room).give_back(self.of.into());
    }
}

/// Nothing in here is left half done by a panic.
fn lock(room: &Mutex<Shares>) -> MutexGuard<'_, Shares> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers until the client goes, breaks the rules, or has asked enough.
async fn answer_all(mut stream: impl AsyncRead + AsyncWrite + Unpin, from: SocketAddr, metrics: &Metrics) {
    let mut out = Vec::new();
    for _ in 0..limits::STREAM_MESSAGES {
        let Some(message) = read(&mut stream, metrics).await else { return };
        match cdx::answer_in_stream(&message, from, &mut out) {
            Ok(answer) => metrics.answered(answer),
            Err(reason) => return metrics.dropped(reason),
        }
        if stream.write_all(&out).await.is_err() {
            metrics.unsent.inc();
            return;
        }
    }
}

/// Reads one message; nothing where the stream ends, or goes on with something else.
async fn read(stream: &mut (impl AsyncRead + Unpin), metrics: &Metrics) -> Option<Vec<u8>> {
    let mut begin = [0; 4];
    stream.read_exact(&mut begin).await.ok()?;
    let length = stun::frame_length(begin).map_err(|reason| metrics.dropped(reason.into())).ok()?;
    let mut message = begin.to_vec();
    message.resize(length, 0);
    let rest = message.get_mut(begin.len()..).filter(|_| length <= limits::LARGEST)?;
    stream.read_exact(rest).await.ok()?;
    Some(message)
}
