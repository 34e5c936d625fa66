//! What nodes tell each other: core NATS, without its streams.
//!
//! A [`Bus`] carries small messages by [`Subject`]: published to whoever subscribes, or asked with an
//! answer. **It is a hint**: what must not be lost is in the database, and whoever was hinted at it looks there;
//! whoever was not looks by itself, a little later. So a message may be lost, and nothing here waits for
//! long:
//!
//! - [`Bus::publish`] never waits. A bus that is away or behind drops the message.
//! - [`Bus::ask`] has a deadline. Nobody who subscribes is an answer too ([`Unanswered::Nobody`]), and it
//!   comes at once.
//! - [`Bus::subscribe`] comes back when the server knows of it, so that what is published after is heard: subscribe
//!   first, read the database then. A bus that is away learns of it when it is back.
//!
//! A server that answers no ping is given up after some [`limits::PING`]s for another one of its cluster.
//! Interest of a new subscription reaches the other servers of a cluster some milliseconds later than its own.

pub mod limits;
mod nats;
mod subject;

use std::{fmt, time::Duration};

use bytes::Bytes;
pub use nats::ConnectError;
pub use subject::{NotASubject, Subject};

/// A connection to the bus. Clones share it.
#[derive(Clone, Debug)]
pub struct Bus(nats::Nats);

/// A message that was heard.
pub struct Message {
    /// What was said.
    pub payload: Bytes,
    /// Where an answer goes, if one is wanted.
    pub asker: Option<Asker>,
}

/// Whoever waits for an answer.
pub struct Asker {
    bus: nats::Nats,
    reply: async_nats::Subject,
}

/// What is heard on a subject, until it is dropped.
pub struct Subscription(Box<nats::Heard>);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nobody subscribes, or nobody that this part of the bus knows of yet.
    #[error("nobody is there")]
    Nobody,
    /// Somebody subscribes and has not answered in time, or the bus is away.
    #[error("no answer came in time")]
    Late,
}

impl Bus {
    /// Connects to NATS: `nats://[user:password@]host[:port]` or `tls://…`, several servers of one cluster
    /// separated by commas. If none answers within [`limits::CONNECT`], and whenever one is lost, it tries again by
    /// itself, for ever.
    pub async fn connect(servers: &str) -> Result<Self, ConnectError> {
        nats::Nats::connect(servers).await.map(Self)
    }

    /// Whether it is connected now.
    pub fn is_up(&self) -> bool {
        self.0.is_up()
    }

    /// Tells whoever subscribes, perhaps.
    pub fn publish(&self, subject: &Subject, payload: Bytes) {
        self.0.publish(subject.to_nats(), payload);
    }

    /// Asks; the first answer counts.
    pub async fn ask(
        &self,
        subject: &Subject,
        payload: Bytes,
        within: Duration,
    ) -> Result<Bytes, Unanswered> {
        self.0.ask(subject.to_nats(), payload, within).await
    }

    /// Hears what is said on a subject from now on.
    pub async fn subscribe(&self, subject: &Subject) -> Subscription {
        Subscription(Box::new(self.0.subscribe(subject.to_nats()).await))
    }

    /// Says what waits to be said, and ends.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

impl Subscription {
    /// The next message; waits for ever once the bus is closed. Nothing is lost when this is dropped and called
    /// again.
    pub async fn next(&mut self) -> Message {
        match self.0.next().await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }
}

impl Asker {
    /// Answers.
    pub fn answer(self, payload: Bytes) {
        self.bus.publish(self.reply, payload);
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes)", self.payload.len())
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asker")
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}
