//! A known device's connection: one task, one frame at a time, and its mailbox.
//!
//! The task handles a frame to its end before it reads the next: order and back-pressure. What waits
//! in the mailbox is written in batches in between; a reader that is too slow is closed, and finds
//! the rest when it comes back.

use std::{sync::Arc, time::Duration};

use rand::RngExt as _;
use switchhook_core::row::StoredMessage;
use switchhook_protocol::{
    call::Operation,
    client::ClientMessage,
    close::CloseCode,
    error::ErrorCode,
    id::{Epoch, RequestId, TenantId},
    server::{Answer, ServerMessage},
};
use switchhook_storage::StorageError;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{self, Instant, MissedTickBehavior},
};
use tracing::{debug, warn};

use super::{
    frame,
    handshake::{handshake, reject},
    socket::{Heard, Socket},
};
use crate::{
    app::App,
    causes::Causes,
    flows::{self, Caller, hello::Entered, perform::perform},
    limits,
    online::{Nudge, Seat},
};

struct Connection {
    app: Arc<App>,
    caller: Caller,
    socket: Socket,
    epoch: Epoch,
    /// The last message that was written.
    sent: u64,
    /// When the client was last heard.
    heard: Instant,
}

/// Serves a socket from its first frame to its close.
pub(crate) async fn serve(app: Arc<App>, tenant: TenantId, mut socket: Socket, place: OwnedSemaphorePermit) {
    let entered = Box::pin(handshake(&app, &tenant, &mut socket)).await;
    drop(place);
    let why = match entered {
        Ok(Entered { caller, epoch, seq, .. }) => {
            let seat = app.online.enter((tenant, caller.device.id.clone()), app.now()).await;
            app.metrics.connected.inc();
            let gauge = Arc::clone(&app);
            let mut connection = Connection { app, caller, socket, epoch, sent: seq, heard: Instant::now() };
            let why = connection.run(seat).await;
            gauge.metrics.connected.dec();
            debug!(device.id = %connection.caller.device.id, ?why, "a connection ended");
            socket = connection.socket;
            why
        }
        Err(why) => why,
    };
    if let Some(code) = why {
        Box::pin(socket.close(code)).await;
    }
}

impl Connection {
    /// Runs until it ends; says why, if the client does not know.
    async fn run(&mut self, mut seat: Seat) -> Option<CloseCode> {
        let mut leaving = Box::pin(leaving(Arc::clone(&self.app)));
        let mut ping = time::interval(limits::PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        // Subscribed first, read then: nothing falls in between.
        let mut ended = Box::pin(self.deliver()).await;
        while ended.is_ok() {
            ended = tokio::select! {
                biased; // leave when asked, finish what we have, then take new work, then look for silence
                () = &mut leaving => Err(Some(CloseCode::GoingAway)),
                nudge = seat.next() => match nudge {
                    Nudge::Replaced => Err(Some(CloseCode::Replaced)),
                    Nudge::Signal(signal) => self.socket.say(&ServerMessage::Signal(signal)).await.map_err(Some),
                    Nudge::Mailbox => Box::pin(self.deliver()).await,
                },
                heard = self.socket.hear() => match heard {
                    Heard::Text(text) => Box::pin(self.handle(&text)).await,
                    Heard::Alive => { self.heard = Instant::now(); Ok(()) }
                    Heard::Gone(why) => Err(why),
                },
                _ = ping.tick() => self.check_silence().await,
            };
        }
        ended.err().flatten()
    }

    async fn check_silence(&mut self) -> Result<(), Option<CloseCode>> {
        if self.heard.elapsed() > limits::SILENCE {
            return Err(Some(CloseCode::Silent));
        }
        Ok(self.socket.ping().await?)
    }

    /// Writes what the mailbox has.
    async fn deliver(&mut self) -> Result<(), Option<CloseCode>> {
        loop {
            let now = self.app.now();
            let storage = self.app.storage.of(&self.caller.tenant);
            let mailbox = storage.mailbox(&self.caller.device.id);
            let batch = match mailbox.after(self.sent, limits::DELIVERY_BATCH, now).await {
                Ok(batch) => batch,
                Err(trouble) => {
                    warn!(error = %Causes(&trouble), "a mailbox cannot be read");
                    return Err(Some(CloseCode::GoingAway));
                }
            };
            let Some(last) = batch.last().map(|message| message.seq) else { return Ok(()) };
            for message in &batch {
                self.socket.say_text(frame::event(message, &self.epoch, now)).await?;
                self.app.metrics.delivered.inc();
            }
            self.sent = last;
            self.note_delivery(batch);
        }
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
            Ok(ClientMessage::Ack(ack)) => {
                let storage = self.app.storage.of(&self.caller.tenant);
                let upto = ack.seq.min(self.sent);
                let acknowledged = storage.mailbox(&self.caller.device.id).acknowledge(upto).await;
                if let Err(trouble) = acknowledged {
                    warn!(error = %Causes(&trouble), "an ack is not stored; it comes again");
                }
            }
            Ok(ClientMessage::Signal(signal)) => {
                if let Err(code) = flows::signal::signal(&self.app, &self.caller, signal) {
                    self.socket.say(&ServerMessage::Error(code.into())).await?;
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

    async fn answer(&mut self, id: RequestId, operation: Operation) -> Result<(), CloseCode> {
        let answer = match perform(&self.app, &self.caller, operation).await {
            Ok(ok) => Answer { id, ok: Some(ok), error: None },
            Err(body) => Answer { id, ok: None, error: Some(body) },
        };
        self.socket.say(&ServerMessage::Answer(answer)).await
    }
}

/// Waits until the server is told to stop, and then for this connection's turn: the clients of a node come to
/// the others one after the other.
async fn leaving(app: Arc<App>) {
    app.stop.cancelled().await;
    let connections = u32::try_from(app.online.count()).unwrap_or(u32::MAX);
    let all = Duration::from_secs(1) * connections / limits::DRAINED_PER_SECOND;
    time::sleep(all.min(limits::DRAIN_CONNECTIONS).mul_f64(app.rng().random())).await;
}

/// What was sent is marked, with the legs of rings.
async fn note_delivery(app: &App, caller: &Caller, batch: &[StoredMessage]) -> Result<(), StorageError> {
    let Some(last) = batch.last() else { return Ok(()) };
    let storage = app.storage.of(&caller.tenant);
    let rings = batch.iter().filter_map(frame::rings_for);
    storage.mailbox(&caller.device.id).mark_pushed(last.seq, rings, app.now()).await
}
