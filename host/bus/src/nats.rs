//! Core NATS: a connection to one server of a cluster, made anew by itself.

use std::{io, pin::Pin, time::Duration};

use async_nats::{
    Client, ConnectOptions, Event, Request, ServerAddr, Subject, Subscriber, client::RequestErrorKind,
    connection::State,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use crate::{Asker, Message, Unanswered, limits};

/// Why a connection to NATS cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An address is none.
    #[error("a server of the bus is nats://host:port or tls://host:port")]
    Address(#[source] io::Error),
    /// The connection cannot be made so.
    #[error("the bus cannot be connected to")]
    Settings(#[source] async_nats::ConnectError),
}

/// The connection, and the queue of what it is to say.
#[derive(Debug, Clone)]
pub(crate) struct Nats {
    client: Client,
    /// Bounded, and full while the bus is away: the client's own queue would hold up whoever publishes.
    waiting: mpsc::Sender<(Subject, Bytes)>,
    end: CancellationToken,
    saying: TaskTracker,
}

impl Nats {
    pub(crate) async fn connect(servers: &str) -> Result<Self, ConnectError> {
        let servers = servers.split(',').map(|server| server.trim().parse()).collect::<Result<Vec<_>, _>>();
        let connecting = options().connect::<Vec<ServerAddr>>(servers.map_err(ConnectError::Address)?);
        let client = Box::pin(connecting).await.map_err(ConnectError::Settings)?;
        if timeout(limits::CONNECT, client.flush()).await.is_err() {
            warn!("no server of the bus answers yet");
        }
        let (waiting, to_say) = mpsc::channel(limits::WAITING);
        let (end, saying) = (CancellationToken::new(), TaskTracker::new());
        saying.spawn(say(client.clone(), to_say, end.clone()));
        saying.close();
        Ok(Self { client, waiting, end, saying })
    }

    pub(crate) fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    pub(crate) fn publish(&self, subject: Subject, payload: Bytes) {
        if self.waiting.try_send((subject, payload)).is_err() {
            debug!("the bus is behind: a hint is dropped");
        }
    }

    pub(crate) async fn ask(
        &self,
        subject: Subject,
        payload: Bytes,
        within: Duration,
    ) -> Result<Bytes, Unanswered> {
        let request = Request::new().payload(payload).timeout(Some(within));
        // Its own deadline begins after it is queued, which waits while the bus is away.
        let asked = timeout(within, self.client.send_request(subject, request)).await;
        match asked.or(Err(Unanswered::Late))? {
            Ok(answer) => Ok(answer.payload),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Err(Unanswered::Nobody),
            Err(_) => Err(Unanswered::Late),
        }
    }

    /// Comes back when the bus knows of it, or after a while without: while the bus is away not even the client takes
    /// it in. It is subscribed to while it is listened to, then.
    pub(crate) async fn subscribe(&self, subject: Subject) -> Heard {
        let client = self.client.clone();
        let mut subscribing: Subscribing = Box::pin(async move {
            let Ok(subscriber) = client.subscribe(subject).await else {
                // The client is closed, which it is after everybody else.
                return std::future::pending().await;
            };
            if client.flush().await.is_err() {
                debug!("the bus learns of a subscription later");
            }
            subscriber
        });
        let from = match timeout(limits::SUBSCRIBE, &mut subscribing).await {
            Ok(subscriber) => From::Bus(subscriber),
            Err(_) => From::Later(subscribing),
        };
        Heard { bus: self.clone(), from }
    }

    pub(crate) async fn close(&self) {
        self.end.cancel();
        self.saying.wait().await;
    }
}

/// What is heard, and where answers go.
pub(crate) struct Heard {
    bus: Nats,
    from: From,
}

/// Where it is heard.
enum From {
    Bus(Subscriber),
    /// The bus does not know of it yet.
    Later(Subscribing),
}

type Subscribing = Pin<Box<dyn Future<Output = Subscriber> + Send>>;

impl Heard {
    /// The next message; none when the client is closed. Nothing is lost if it is dropped before.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        if let From::Later(subscribing) = &mut self.from {
            self.from = From::Bus(subscribing.await);
        }
        let From::Bus(subscriber) = &mut self.from else { return None };
        let message = subscriber.next().await?;
        let asker = message.reply.map(|reply| Asker { bus: self.bus.clone(), reply });
        Some(Message { payload: message.payload, asker })
    }
}

fn options() -> ConnectOptions {
    ConnectOptions::new()
        .name("switchhook")
        .retry_on_initial_connect()
        .ping_interval(limits::PING)
        .connection_timeout(limits::CONNECT_ONE)
        .subscription_capacity(limits::WAITING_OF_SUBSCRIBER)
        .reconnect_delay_callback(|tries| {
            let tries = u64::try_from(tries).unwrap_or(u64::MAX);
            let pause = Duration::from_millis(limits::PAUSE_STEP.saturating_mul(tries.saturating_sub(1)));
            pause.min(limits::LONGEST_PAUSE)
        })
        .event_callback(async |event| match event {
            Event::Connected => info!("connected to the bus"),
            Event::Disconnected => warn!("disconnected from the bus"),
            Event::ClientError(_) | Event::ServerError(_) => warn!(%event, "the bus has trouble"),
            Event::LameDuckMode | Event::Draining | Event::Closed | Event::SlowConsumer(_) => {
                debug!(%event, "the bus says something");
            }
        })
}

/// Publishes what waits, in order, until the end; then what is left of it.
async fn say(client: Client, mut to_say: mpsc::Receiver<(Subject, Bytes)>, end: CancellationToken) {
    loop {
        let next = tokio::select! {
            biased;
            next = to_say.recv() => next,
            () = end.cancelled() => None,
        };
        let Some((subject, payload)) = next else { break };
        // The client itself gathers and flushes.
        if client.publish(subject, payload).await.is_err() {
            break;
        }
    }
    if timeout(limits::SUBSCRIBE, client.flush()).await.is_err() {
        debug!("the bus is away: what was to be said is lost");
    }
}
