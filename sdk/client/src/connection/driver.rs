//! The task that keeps the connection up.
//!
//! While there is none, requests wait in their queue and the callers' deadlines run; nothing is sent
//! twice here: what may be, its caller asks for again ([`crate::repeat`]). An application that does not take its events loses the connection, not the events: they
//! stay in the mailbox, and the task connects again once there is room.

use core::{future, time::Duration};
use std::{collections::HashMap, sync::Arc};

use futures_util::{SinkExt as _, StreamExt as _};
use rand::RngExt as _;
use serde_json::value::RawValue;
use switchhook_protocol::{
    client::{Cursor, Said, Signal},
    close::CloseCode,
    server::Welcome,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::{self, Message, protocol::CloseFrame};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    dial::{Socket, dial, is_as_secure},
    machine::{Effect, End, Machine},
};
use crate::{
    client::{CallError, ClientEvent},
    limits,
    sessions::Sessions,
    settings::Settings,
};

/// What a request is answered with.
pub(crate) type Reply = Result<Box<RawValue>, CallError>;

/// What the task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Send a request's frame and bring its answer.
    Request {
        id: u64,
        text: String,
        deadline: Instant,
        reply: oneshot::Sender<Reply>,
    },
    /// Send a live message.
    Signal(Box<Signal>),
    Presence(Box<Signal>),
}

/// What waits for the application, with the place that counts as handled after it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) event: Option<ClientEvent>,
    pub(crate) place: Option<Cursor>,
    /// When it came.
    pub(crate) at: Instant,
}

/// How the connection stands.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// None yet, or none at present; with what went wrong last.
    Connecting(Option<String>),
    /// The mailbox is open.
    Connected(Welcome),
    /// There will be none.
    Ended(Option<Finished>),
}

/// The host closed the connection for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host closed the connection for good: {reason} ({code})")]
pub struct Finished {
    /// The close code, see [`switchhook_protocol::close`].
    pub code: u16,
    /// Its word.
    pub reason: String,
}

/// Why a connection ended.
#[derive(Debug)]
enum Ended {
    /// The application closed the client.
    Stopped,
    /// By a final close code.
    Final(Finished),
    /// Otherwise; the next try comes after this pause at the earliest.
    Lost(String, Duration),
    /// The application does not take its events.
    Full,
}

pub(crate) struct Driver {
    pub(crate) settings: Settings,
    pub(crate) machine: Machine,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) handled: watch::Receiver<Option<Cursor>>,
    pub(crate) events: mpsc::Sender<Item>,
    pub(crate) state: watch::Sender<State>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) replies: HashMap<u64, oneshot::Sender<Reply>>,
    pub(crate) stop: CancellationToken,
    /// Where a host that left has sent this client; tried once.
    pub(crate) next: Option<String>,
}

impl Driver {
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            let ended = self.connection().await;
            self.let_go();
            backoff.held(begun.elapsed());
            match ended {
                Ended::Stopped => return self.finish(None),
                Ended::Final(finished) => return self.finish(Some(finished)),
                Ended::Lost(why, at_least) => {
                    let pause = backoff.next(rand::rng().random()).max(at_least);
                    tracing::info!(%why, ?pause, "the connection is lost");
                    self.tell(ClientEvent::Disconnected { again_in: pause });
                    self.state.send_replace(State::Connecting(Some(why)));
                    self.unless_stopped(sleep(pause)).await;
                }
                Ended::Full => {
                    tracing::warn!("the application takes no events; the mailbox keeps them");
                    self.state.send_replace(State::Connecting(None));
                    let room = self.events.clone();
                    self.unless_stopped(async move { drop(room.reserve_many(limits::EVENTS / 2).await) })
                        .await;
                }
            }
        }
    }

    async fn unless_stopped(&self, wait: impl Future<Output = ()> + Send) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = wait => {}
        }
    }

    async fn connection(&mut self) -> Ended {
        let (stop, next) = (self.stop.clone(), self.next.take());
        let socket = tokio::select! {
            biased;
            () = stop.cancelled() => return Ended::Stopped,
            socket = dial(&self.settings, next.as_deref()) => socket,
        };
        match socket {
            Ok(socket) => self.serve(socket).await,
            Err(error) => Ended::Lost(error.to_string(), Duration::ZERO),
        }
    }

    async fn serve(&mut self, mut socket: Socket) -> Ended {
        if let Some(cursor) = self.handled.borrow_and_update().clone() {
            self.machine.handle_done(cursor);
        }
        self.machine.handle_open(Instant::now().into_std());
        let stop = self.stop.clone();
        loop {
            while let Some(effect) = self.machine.poll_effect() {
                if let Some(ended) = self.perform(effect, &mut socket).await {
                    return ended;
                }
            }
            let deadline = self.machine.poll_timeout();
            let ready = self.machine.is_ready();
            tokio::select! {
                biased; // in this order:
                () = stop.cancelled() => { // leave when asked
                    _ = timeout(limits::WRITE, socket.close(None)).await;
                    return Ended::Stopped;
                }
                Ok(()) = self.handled.changed(), if ready => self.acknowledge(), // what the host can forget
                Some(command) = self.commands.recv(), if ready => self.command(command), // what was asked before
                frame = socket.next() => if let Some(ended) = self.frame(frame) { return ended; }, // then what comes
                () = until(deadline) => self.machine.handle_timeout(Instant::now().into_std()),
            }
        }
    }

    fn acknowledge(&mut self) {
        if let Some(cursor) = self.handled.borrow_and_update().clone() {
            self.machine.handle_done(cursor);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            // Who asked has given up, and what was never sent needs no answer.
            Command::Request { reply, .. } if reply.is_closed() => {}
            Command::Request { id, text, deadline, reply } => {
                self.replies.insert(id, reply);
                self.machine.handle_request(id, text, deadline.into_std());
            }
            Command::Signal(signal) => self.machine.handle_live(&Said::Signal(&signal)),
            Command::Presence(presence) => self.machine.handle_live(&Said::Presence(&presence)),
        }
    }

    fn frame(&mut self, frame: Option<Result<Message, tungstenite::Error>>) -> Option<Ended> {
        self.machine.handle_heard(Instant::now().into_std());
        match frame {
            Some(Ok(Message::Text(text))) => {
                // A frame brings one event at most, and one place is for saying that the connection is lost.
                if self.events.capacity() < 2 && !self.events.is_closed() {
                    return Some(Ended::Full);
                }
                self.machine.handle_text(&text);
                None
            }
            Some(Ok(Message::Close(frame))) => Some(closed(frame)),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => None,
            Some(Err(error)) => Some(Ended::Lost(error.to_string(), Duration::ZERO)),
            None => Some(closed(None)),
        }
    }

    async fn perform(&mut self, effect: Effect, socket: &mut Socket) -> Option<Ended> {
        match effect {
            Effect::Write(text) => return write(socket, text).await.err(),
            Effect::Welcomed(welcome) => {
                self.tell(ClientEvent::Connected(welcome.clone()));
                self.state.send_replace(State::Connected(welcome));
            }
            Effect::Answered(id, reply) => self.reply(id, reply),
            Effect::Deliver(delivered) => {
                self.sessions.notice(&delivered.event);
                let place = Cursor { epoch: delivered.epoch.clone(), seq: delivered.seq };
                self.hand_over(Some(ClientEvent::Event(delivered)), Some(place));
            }
            Effect::Pass(place) => self.hand_over(None, Some(place)),
            Effect::GoTo(url) if is_as_secure(&self.settings.url, &url) => self.next = Some(url),
            Effect::GoTo(url) => tracing::warn!(url, "the host sends this client to where it does not go"),
            Effect::Signal(signal) => self.tell(ClientEvent::Signal(signal)),
            Effect::Presence(presence) => self.tell(ClientEvent::Presence(presence)),
            Effect::End(End::Malformed) => {
                return Some(Ended::Lost("the host speaks another protocol".to_owned(), limits::BACKOFF));
            }
            Effect::End(End::Silent) => {
                return Some(Ended::Lost("nothing was heard for too long".to_owned(), Duration::ZERO));
            }
        }
        None
    }

    fn reply(&mut self, id: u64, reply: Reply) {
        if let Some(waiting) = self.replies.remove(&id) {
            // Whoever does not wait any more does not care.
            _ = waiting.send(reply);
        }
    }

    fn tell(&self, event: ClientEvent) {
        self.hand_over(Some(event), None);
    }

    /// There was room when the frame was read; an application that dropped its events wants none.
    fn hand_over(&self, event: Option<ClientEvent>, place: Option<Cursor>) {
        let item = Item { event, place, at: Instant::now() };
        if self.events.try_send(item).is_err() {
            tracing::debug!("nobody takes events");
        }
    }

    /// Ends what belonged to the connection.
    fn let_go(&mut self) {
        self.machine.handle_lost();
        while let Some(effect) = self.machine.poll_effect() {
            if let Effect::Answered(id, reply) = effect {
                self.reply(id, reply);
            }
        }
        self.replies.clear();
    }

    fn finish(&self, finished: Option<Finished>) {
        if let Some(finished) = finished.clone() {
            tracing::warn!(%finished, "the client does not connect again");
            self.tell(ClientEvent::Ended(finished));
        }
        self.state.send_replace(State::Ended(finished));
    }
}

async fn write(socket: &mut Socket, text: String) -> Result<(), Ended> {
    match timeout(limits::WRITE, socket.send(Message::text(text))).await {
        Ok(Ok(())) => Ok(()),
        // The close code that says why may wait behind the failure: read on to it, in time.
        Ok(Err(error)) => Err(last_words(socket, &error).await),
        Err(_) => Err(Ended::Lost("the host takes no frame".to_owned(), Duration::ZERO)),
    }
}

async fn last_words(socket: &mut Socket, error: &tungstenite::Error) -> Ended {
    let read_on = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(frame) = message {
                return Some(closed(frame));
            }
        }
        None
    };
    let ended = timeout(limits::WRITE, read_on).await.ok().flatten();
    ended.unwrap_or_else(|| Ended::Lost(error.to_string(), Duration::ZERO))
}

/// What a close code asks for: the published row, and for a later version's code its range.
fn closed(frame: Option<CloseFrame>) -> Ended {
    let Some(frame) = frame else {
        return Ended::Lost("closed without a code".to_owned(), Duration::ZERO);
    };
    let code = u16::from(frame.code);
    let row = CloseCode::of(code).map(CloseCode::row);
    let again = row.map_or_else(|| !(4_500..5_000).contains(&code), |row| row.reconnect);
    let reason = row.map_or_else(|| frame.reason.to_string(), |row| row.reason.to_owned());
    if again {
        let after = row.map_or(Duration::ZERO, |row| Duration::from_millis(row.after_ms.into()));
        Ended::Lost(reason, after)
    } else {
        Ended::Final(Finished { code, reason })
    }
}

async fn until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => future::pending().await,
    }
}
