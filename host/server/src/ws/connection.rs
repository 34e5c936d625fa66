//! A known device's connection: one task, one frame at a time, and its mailbox.
//!
//! The task handles a frame to its end before it reads the next: order and back-pressure. What asks a plugin, which may
//! ask an outside service, is performed [beside](asking) it, one at a time, and holds up neither the cancel behind it
//! nor a ring. Every request goes on to its end, also when the connection does not. What waits in the mailbox is written
//! in batches in between; a reader that is too slow is closed, and finds the rest when it comes back.
//!
//! Most connections are idle most of the time. What a connection is then is all that its future has room
//! for: what it does is boxed for as long as it takes.

mod acknowledging;
mod asking;

use std::sync::Arc;

use switchhook_core::row::StoredMessage;
use switchhook_protocol::{
    call::Operation,
    client::{ClientMessage, Signal},
    close::CloseCode,
    error::ErrorCode,
    id::{Epoch, RequestId, TenantId},
    server::{Answer, Leaving, PeerSignal, ServerMessage},
    time::Timestamp,
};
use switchhook_storage::StorageError;
use tokio::time::{self, Instant, MissedTickBehavior};
use tracing::{debug, warn};

use self::asking::{Asking, asks_plugins};
use super::{
    frame,
    handshake::{handshake, reject},
    socket::{Heard, Socket},
};
use crate::{
    app::App,
    causes::Causes,
    flows::{
        Caller, FlowError,
        hello::Entered,
        perform::perform,
        signal::{self, Way},
    },
    limits,
    listen::doors::Admitted,
    online::{Live, Nudge, Seat},
    rates::Bucket,
};

/// A socket that has not said who it is.
pub(crate) struct Newcomer {
    pub(crate) app: Arc<App>,
    pub(crate) tenant: TenantId,
    pub(crate) socket: Socket,
    pub(crate) admitted: Admitted,
}

struct Connection {
    app: Arc<App>,
    caller: Caller,
    seat: Seat,
    socket: Socket,
    epoch: Epoch,
    /// The last message that was written.
    sent: u64,
    /// The last message that the client has acknowledged.
    acknowledged: u64,
    /// When the client was last heard.
    heard: Instant,
    /// Where its last signal went.
    way: Option<Box<Way>>,
    /// What it may still ask.
    requests: Bucket,
    asking: Asking,
    admitted: Admitted,
}

/// A socket on which nothing more is heard. It has its places until it is closed.
struct Ended {
    socket: Socket,
    why: Option<CloseCode>,
    _admitted: Admitted,
}

/// Serves a socket from its first frame to its close.
pub(crate) async fn serve(newcomer: Box<Newcomer>) {
    let ended = match Box::pin(enter(newcomer)).await {
        Ok(mut connection) => {
            let why = connection.run().await;
            connection.leave(why)
        }
        Err(ended) => *ended,
    };
    Box::pin(ended.close()).await;
}

/// Leads a newcomer to its seat.
async fn enter(newcomer: Box<Newcomer>) -> Result<Box<Connection>, Box<Ended>> {
    let Newcomer { app, tenant, mut socket, mut admitted } = *newcomer;
    let entered = handshake(&app, (&tenant, admitted.from()), &mut socket).await;
    admitted.known();
    let Entered { caller, epoch, seq, .. } = match entered {
        Ok(entered) => entered,
        Err(why) => return Err(Box::new(Ended { socket, why, _admitted: admitted })),
    };
    let seat = app.online.enter((tenant, caller.device.id.clone()), app.now()).await;
    app.metrics.connected.inc();
    Ok(Box::new(Connection {
        app,
        caller,
        seat,
        socket,
        epoch,
        sent: seq,
        acknowledged: seq,
        heard: Instant::now(),
        way: None,
        requests: Bucket::default(),
        asking: Asking::default(),
        admitted,
    }))
}

impl Connection {
    /// Runs until it ends; says why, if the client does not know.
    async fn run(&mut self) -> Option<CloseCode> {
        let mut ping = time::interval(limits::PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        // Subscribed first, read then: nothing falls in between.
        let mut ended = Box::pin(self.deliver()).await;
        while ended.is_ok() {
            ended = tokio::select! {
                biased; // leave when asked, finish what we have, then take new work, then look for silence
                nudge = self.seat.next() => match nudge {
                    Nudge::Leave => Box::pin(self.point_on()).await,
                    Nudge::Replaced => Err(Some(CloseCode::Replaced)),
                    Nudge::Live(live) => Box::pin(self.say(live.into())).await,
                    Nudge::Mailbox => Box::pin(self.deliver()).await,
                    Nudge::Stored(messages) => Box::pin(self.hand_on(messages)).await,
                },
                answer = self.asking.answer(&self.app, &self.caller) => Box::pin(self.say(answer)).await,
                heard = self.socket.hear() => match heard {
                    Heard::Text(text) => Box::pin(self.handle(&text)).await,
                    Heard::Alive => { self.heard = Instant::now(); Ok(()) }
                    Heard::Gone(why) => Err(why),
                },
                _ = ping.tick() => Box::pin(self.check_silence()).await,
            };
        }
        ended.err().flatten()
    }

    /// Answers what is under way and says where to go, if there is a place, before it closes.
    async fn point_on(&mut self) -> Result<(), Option<CloseCode>> {
        while self.asking.is_under_way() {
            let answer = self.asking.answer(&self.app, &self.caller).await;
            self.socket.say(&answer).await?;
        }
        if let Some(next) = self.app.me.neighbours.any(&mut self.app.rng()) {
            self.socket.say(&ServerMessage::Leaving(Leaving { next })).await?;
        }
        Err(Some(CloseCode::GoingAway))
    }

    /// Gives its seat back.
    fn leave(self: Box<Self>, why: Option<CloseCode>) -> Ended {
        let Self { app, caller, socket, admitted, .. } = *self;
        app.metrics.connected.dec();
        debug!(device.id = %caller.device.id, ?why, "a connection ended");
        Ended { socket, why, _admitted: admitted }
    }

    async fn say(&mut self, message: ServerMessage) -> Result<(), Option<CloseCode>> {
        Ok(self.socket.say(&message).await?)
    }

    async fn check_silence(&mut self) -> Result<(), Option<CloseCode>> {
        if self.heard.elapsed() > limits::SILENCE {
            return Err(Some(CloseCode::Silent));
        }
        Ok(self.socket.ping().await?)
    }

    /// Writes what was put into the mailbox, if nothing else is to come before it.
    async fn hand_on(&mut self, messages: Vec<StoredMessage>) -> Result<(), Option<CloseCode>> {
        let now = self.app.now();
        match following(messages, self.sent, now) {
            Some(messages) => self.write(messages, now).await,
            None => self.deliver().await,
        }
    }

    /// Writes what the mailbox has. What is stored after it was read is hinted at after that.
    async fn deliver(&mut self) -> Result<(), Option<CloseCode>> {
        loop {
            let now = self.app.now();
            let storage = self.app.storage.of(&self.caller.tenant);
            let mailbox = storage.mailbox(&self.caller.device.id);
            let batch = match mailbox.after(self.sent, limits::DELIVERY_BATCH.into(), now).await {
                Ok(batch) => batch,
                Err(trouble) => {
                    warn!(error = %Causes(&trouble), "a mailbox cannot be read");
                    return Err(Some(CloseCode::GoingAway));
                }
            };
            let is_all = batch.len() < usize::from(limits::DELIVERY_BATCH);
            self.write(batch, now).await?;
            if is_all {
                return Ok(());
            }
        }
    }

    async fn write(&mut self, batch: Vec<StoredMessage>, now: Timestamp) -> Result<(), Option<CloseCode>> {
        for message in &batch {
            self.socket.say_text(frame::event(message, &self.epoch, now)).await?;
            self.app.metrics.delivered.inc();
            self.sent = message.seq;
        }
        if !batch.is_empty() {
            self.note_delivery(batch);
        }
        Ok(())
    }

    /// Notes beside the connection what was written: it must not hold up the next frame.
    fn note_delivery(&self, batch: Vec<StoredMessage>) {
        let (app, caller) = (Arc::clone(&self.app), self.caller.clone());
        self.app.tasks.spawn(async move {
            if let Err(refused) = note_delivery(&app, &caller, &batch).await {
                warn!(device.id = %caller.device.id, error = %Causes(&refused), "a delivery is not noted");
            }
        });
    }

    async fn handle(&mut self, text: &str) -> Result<(), Option<CloseCode>> {
        self.heard = Instant::now();
        match ClientMessage::decode(text) {
            Ok(ClientMessage::Request(id, operation)) => self.answer(id, operation).await?,
            Ok(ClientMessage::Ack(ack)) => self.acknowledge(ack).await?,
            Ok(ClientMessage::Signal(signal)) => self.pass_on(signal, Live::Signal).await?,
            Ok(ClientMessage::Presence(presence)) => {
                match self.requests.take(limits::REQUESTS_OF_SOCKET, self.app.now()) {
                    Ok(()) => self.pass_on(presence, Live::Presence).await?,
                    Err(wait) => {
                        self.app.metrics.refused(ErrorCode::RateLimited);
                        let refused = FlowError::too_often(wait).into_body("presence");
                        self.socket.say(&ServerMessage::Error(refused)).await?;
                    }
                }
            }
            Ok(ClientMessage::Ping) => self.socket.say(&ServerMessage::Pong).await?,
            Ok(ClientMessage::Enrol(_) | ClientMessage::Hello(_)) => {
                self.socket.say(&ServerMessage::Error(ErrorCode::Conflict.into())).await?;
            }
            Err(rejected) => reject(&mut self.socket, rejected).await?,
        }
        Ok(())
    }

    async fn pass_on(&mut self, said: Signal, live: fn(PeerSignal) -> Live) -> Result<(), Option<CloseCode>> {
        match signal::signal(&self.app, &self.caller, &mut self.way, said, live) {
            Ok(()) => Ok(()),
            Err(code) => Ok(self.socket.say(&ServerMessage::Error(code.into())).await?),
        }
    }

    async fn answer(&mut self, id: RequestId, operation: Operation) -> Result<(), CloseCode> {
        let taken = self.requests.take(limits::REQUESTS_OF_SOCKET, self.app.now());
        let done = match taken {
            Ok(()) if asks_plugins(&operation) => {
                match self.asking.ask(&self.app, &self.caller, id.clone(), operation) {
                    Ok(()) => return Ok(()),
                    Err(full) => Err(full),
                }
            }
            Ok(()) => perform(&self.app, &self.caller, operation).await,
            Err(wait) => {
                self.app.metrics.refused(ErrorCode::RateLimited);
                Err(FlowError::too_often(wait).into_body(operation.op()))
            }
        };
        self.socket.say(&ServerMessage::Answer(Answer::new(id, done))).await
    }
}

impl Ended {
    /// Says why, if the client does not know.
    async fn close(self) {
        if let Some(code) = self.why {
            self.socket.close(code).await;
        }
    }
}

/// Those of the messages that come after this one; none if there is something between them, or one has expired.
fn following(mut messages: Vec<StoredMessage>, sent: u64, now: Timestamp) -> Option<Vec<StoredMessage>> {
    messages.retain(|message| message.seq > sent);
    messages.sort_unstable_by_key(|message| message.seq);
    let next = |(message, seq): (&StoredMessage, u64)| message.seq == seq && message.expires_at > now;
    messages.iter().zip(sent + 1..).all(next).then_some(messages)
}

/// What was sent is marked, with the legs of rings.
async fn note_delivery(app: &App, caller: &Caller, batch: &[StoredMessage]) -> Result<(), StorageError> {
    let Some(last) = batch.last() else { return Ok(()) };
    let storage = app.storage.of(&caller.tenant);
    let rings = batch.iter().filter_map(frame::rings_for);
    storage.mailbox(&caller.device.id).mark_pushed(last.seq, rings, app.now()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_on_what_was_sent_needs_no_look_into_the_mailbox() {
        let follow = |seqs: &[u64], sent| {
            let messages = seqs.iter().map(|seq| message(*seq)).collect();
            let messages = following(messages, sent, Timestamp::from_millis(999))?;
            Some(messages.iter().map(|message| message.seq).collect::<Vec<_>>())
        };
        assert_eq!(follow(&[4, 5], 3), Some(vec![4, 5]));
        assert_eq!(follow(&[5, 4], 3), Some(vec![4, 5]), "two commits may be told in another order");
        assert_eq!(follow(&[3, 4], 3), Some(vec![4]), "what was sent is not sent twice");
        assert_eq!(follow(&[3], 3), Some(vec![]));
        assert_eq!(follow(&[5], 3), None, "the fourth is somebody else's commit");
        assert_eq!(follow(&[4, 6], 3), None);
        assert_eq!(following(vec![message(4)], 3, Timestamp::from_millis(1_000)), None, "it has expired");
    }

    fn message(seq: u64) -> StoredMessage {
        let (id, event) = ("m".parse().unwrap(), "{}".to_owned());
        StoredMessage { seq, id, event, expires_at: Timestamp::from_millis(1_000), delivered: false }
    }
}
