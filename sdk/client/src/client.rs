//! The client: calls with answers, events, and what ties them to one device.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{collections::HashMap, sync::Arc};

use switchhook_protocol::{
    block::{Block, Blocked, BlockedList, Unblock},
    call::{Call as Operation, Done, PathReport, Snapshot, Sync},
    carrier::{Carriers, PresentCarriers},
    client::{ClientMessage, Cursor, Signal},
    error::ErrorBody,
    event::Delivered,
    exchange::{ConnectionDataChanged, ConnectionDataTaken},
    id::{RequestId, TenantId},
    invitation::{Accept, Accepted, Cancel, Decline, Ringing, Stopped, Take},
    number::{CompleteNumber, CompletedNumber},
    push_token::{PushTokenRenew, PushTokenRenewed},
    registration::{
        RegisterAnswer, RegisterBegin, RegisterCode, RegisterLink, RegisterList, RegisterRevoke,
        RegisterValidate, RegistrationList, RegistrationProgress,
    },
    relay::{RelayRequest, RelayResponse, RelayUpdate},
    server::{PeerSignal, Welcome},
    session::{
        End, InviteUpdate, SessionAsk, SessionAskPending, SessionRefuse, SessionRenew, SessionRenewed,
    },
    time::millis,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub use crate::connection::driver::Finished;
use crate::{
    connection::{
        driver::{Command, Driver, Item, State},
        machine::Machine,
    },
    identity::Identity,
    limits,
    nat::Networks,
    sessions::Sessions,
    settings::Settings,
};

/// One device at its host. Clones are the same client; it ends with the last of them.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    tenant: TenantId,
    tls: Option<Arc<rustls::ClientConfig>>,
    identity: Arc<Identity>,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<State>,
    sessions: Arc<Sessions>,
    networks: Arc<Networks>,
    next: AtomicU64,
    tasks: TaskTracker,
    stop: DropGuard,
}

/// What happens to the device, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The mailbox is open. After `resumed` partial or none, ask [`Client::sync`].
    Connected(Welcome),
    /// The connection is lost; the client tries again.
    Disconnected {
        /// When it tries.
        again_in: Duration,
    },
    /// A message of the mailbox, once.
    Event(Box<Delivered>),
    /// A live message of a peer.
    Signal(PeerSignal),
    /// How a peer is at the moment, in place of what it said before.
    Presence(PeerSignal),
    /// The host closed for good; the last event.
    Ended(Finished),
}

/// Takes events, one at a time.
#[derive(Debug)]
pub struct Events {
    items: mpsc::Receiver<Item>,
    handled: watch::Sender<Option<Cursor>>,
    last: Option<Cursor>,
}

/// Why a request has no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The host said no.
    #[error("the host refused: {} ({})", .0.message, .0.code)]
    Refused(ErrorBody),
    /// The connection ended before the answer came: the host may have carried the request out or not.
    /// It is not sent again, as it may have no second time; an invite and a session-update are.
    #[error("the connection ended before the answer")]
    ConnectionLost,
    /// No answer came in time.
    #[error("no answer in time")]
    Deadline,
    /// The client is closed, by the application or by a final close code.
    #[error("the client is closed")]
    Closed,
    /// The answer is not of the operation's form.
    #[error("the answer is malformed")]
    Malformed,
}

/// Why [`Client::connect`] gave up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The host closed for good.
    #[error(transparent)]
    Finished(#[from] Finished),
    /// There was no connection, or it was lost before `welcome`.
    #[error("{0}")]
    Failed(String),
    /// The application closed the client.
    #[error("the client is closed")]
    Closed,
}

impl Client {
    /// Connects, and waits until the mailbox is open or the first try has failed.
    pub async fn connect(settings: Settings, identity: Identity) -> Result<(Self, Events), ConnectError> {
        let (client, events) = Self::start(settings, identity);
        let mut state = client.inner.state.clone();
        let settled = |state: &State| !matches!(state, State::Connecting(None));
        let state = state.wait_for(settled).await.map_err(|_closed| ConnectError::Closed)?.clone();
        match state {
            State::Connected(_) => Ok((client, events)),
            State::Connecting(why) => Err(ConnectError::Failed(why.unwrap_or_default())),
            State::Ended(Some(finished)) => Err(finished.into()),
            State::Ended(None) => Err(ConnectError::Closed),
        }
    }

    /// Begins to connect and goes on trying; for applications that may start without a network.
    pub fn start(settings: Settings, identity: Identity) -> (Self, Events) {
        let identity = Arc::new(identity);
        let (commands, command_queue) = mpsc::channel(limits::COMMANDS);
        let (item_queue, items) = mpsc::channel(limits::EVENTS);
        let (state_sender, state) = watch::channel(State::Connecting(None));
        let (handled_sender, handled) = watch::channel(None);
        let sessions = Arc::new(Sessions::default());
        let stop = CancellationToken::new();
        let (tenant, tls) = (settings.tenant.clone(), settings.tls.clone());
        let driver = Driver {
            machine: Machine::new(
                (tenant.clone(), settings.dials_from.clone()),
                Arc::clone(&identity),
                settings.cursor.clone(),
            ),
            settings,
            commands: command_queue,
            handled,
            events: item_queue,
            state: state_sender,
            sessions: Arc::clone(&sessions),
            replies: HashMap::new(),
            stop: stop.clone(),
            next: None,
        };
        let tasks = TaskTracker::new();
        tasks.spawn(driver.run());
        let inner = Inner {
            tenant,
            tls,
            identity,
            commands,
            state,
            sessions,
            networks: Arc::default(),
            next: AtomicU64::new(1),
            tasks,
            stop: stop.drop_guard(),
        };
        (Self { inner: Arc::new(inner) }, Events { items, handled: handled_sender, last: None })
    }

    /// The device that this is.
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// Whose device it is.
    pub fn tenant(&self) -> &TenantId {
        &self.inner.tenant
    }

    /// Whom it trusts, if the application said so.
    pub(crate) fn tls(&self) -> Option<Arc<rustls::ClientConfig>> {
        self.inner.tls.clone()
    }

    /// What the host said at the connection's entry; waits for a connection.
    pub async fn welcome(&self) -> Result<Welcome, CallError> {
        let mut state = self.inner.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Connecting(_)));
        match timeout(limits::ANSWER, settled).await {
            Ok(Ok(state)) => match &*state {
                State::Connected(welcome) => Ok(welcome.clone()),
                State::Ended(_) | State::Connecting(_) => Err(CallError::Closed),
            },
            Ok(Err(_)) => Err(CallError::Closed),
            Err(_) => Err(CallError::Deadline),
        }
    }

    /// Sends a request and waits for its answer; waits for a connection first, if there is none.
    pub async fn call<C: Operation + core::marker::Sync>(
        &self,
        operation: &C,
    ) -> Result<C::Answer, CallError> {
        self.call_by(Instant::now() + limits::ANSWER, operation).await
    }

    /// The same, with the time at which the answer must be there.
    pub(crate) async fn call_by<C: Operation + core::marker::Sync>(
        &self,
        deadline: Instant,
        operation: &C,
    ) -> Result<C::Answer, CallError> {
        let id = self.inner.next.fetch_add(1, Ordering::Relaxed);
        // A number is a valid id, and every operation has a JSON form.
        let request: RequestId = id.to_string().parse().map_err(|_invalid| CallError::Malformed)?;
        let text = ClientMessage::request(&request, operation).map_err(|_invalid| CallError::Malformed)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Request { id, text, deadline, reply };
        match timeout_at(deadline, self.inner.commands.send(command)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(CallError::Closed),
            Err(_) => return Err(CallError::Deadline),
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(reply)) => serde_json::from_str(reply?.get()).map_err(|_invalid| CallError::Malformed),
            Ok(Err(_)) => Err(CallError::Closed),
            Err(_) => Err(CallError::Deadline),
        }
    }

    /// Passes a live message to a peer: it arrives now or never.
    pub async fn signal(&self, signal: Signal) -> Result<(), CallError> {
        self.command(Command::Signal(Box::new(signal))).await
    }

    /// Tells a peer how its user is at the moment: it arrives now or never, and the last one counts.
    pub async fn presence(&self, presence: Signal) -> Result<(), CallError> {
        self.command(Command::Presence(Box::new(presence))).await
    }

    async fn command(&self, command: Command) -> Result<(), CallError> {
        match timeout(limits::ANSWER, self.inner.commands.send(command)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(CallError::Closed),
            Err(_) => Err(CallError::Deadline),
        }
    }

    /// Closes the connection and waits until it is closed.
    pub async fn close(&self) {
        self.inner.stop_now();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    pub(crate) fn networks(&self) -> &Arc<Networks> {
        &self.inner.networks
    }

    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.inner.state.clone()
    }

    /// Cancelled when the client is closed; none of its clones is kept by it.
    pub(crate) fn child_token(&self) -> CancellationToken {
        self.inner.stop.token().child_token()
    }

    /// What ends before [`Self::close`] returns.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident($request:ident) -> $answer:ty;)*) => {
        impl Client {
            $($(#[$doc])*
            pub async fn $name(&self, request: &$request) -> Result<$answer, CallError> {
                self.call(request).await
            })*
        }
    };
}

operations! {
    /// Begins a registration by a method of the tenant (REG-5).
    register_begin(RegisterBegin) -> RegistrationProgress;
    /// Sends what the user filled in when an attempt asked for more (REG-8).
    register_answer(RegisterAnswer) -> RegistrationProgress;
    /// Sends the code that came to the number.
    register_code(RegisterCode) -> RegistrationProgress;
    /// Sends the signature that came by SMS (REG-4).
    register_validate(RegisterValidate) -> RegistrationProgress;
    /// Sends the token of a link that came by mail (REG-8).
    register_link(RegisterLink) -> RegistrationProgress;
    /// Takes an identifier off this device (REG-11).
    register_revoke(RegisterRevoke) -> Done;
    /// Says that this device's ringer has begun.
    ringing(Ringing) -> Done;
    /// Takes an invite (INV-4).
    accept(Accept) -> Accepted;
    /// Takes devices that accepted, after an invite with `take: choose` (INV-6).
    take(Take) -> Done;
    /// Says no to an invite (INV-4).
    decline(Decline) -> Done;
    /// Takes one's invite back (INV-17).
    cancel(Cancel) -> Done;
    /// Says that this device's ringer has really stopped.
    stopped(Stopped) -> Done;
    /// Shows the answering user's other devices who answered (INV-7).
    invite_update(InviteUpdate) -> Done;
    /// Who is not to ring an identifier of this device.
    block(Block) -> Done;
    /// Who may ring it again.
    unblock(Unblock) -> Done;
    /// Who does not ring it.
    blocked(Blocked) -> BlockedList;
    /// Gets another push token; what was registered stays. Store it in the [`Identity`] before going on (REG-1).
    push_token_renew(PushTokenRenew) -> PushTokenRenewed;
    /// Which number is meant by what the user dialled (REG-10).
    complete_number(CompleteNumber) -> CompletedNumber;
    /// Which number to text, if another bundle counts by now than the device has (REG-15); [`renew`](crate::carriers::renew) keeps it.
    carriers(Carriers) -> PresentCarriers;
    /// Asks the user's own device that takes part for the session (INV-18).
    session_ask(SessionAsk) -> SessionAskPending;
    /// Keeps the session that another device of the user asked for (INV-18).
    session_refuse(SessionRefuse) -> Done;
    /// Gives the ticket of a session that runs for long a new life (INV-11).
    session_renew(SessionRenew) -> SessionRenewed;
    /// Leaves a session (INV-8).
    end(End) -> Done;
    /// Says that this device is elsewhere on the network (NAT-5).
    connection_data(ConnectionDataChanged) -> ConnectionDataTaken;
    /// Asks for the relay (NAT-4).
    relay_request(RelayRequest) -> RelayResponse;
    /// Tells the other side where the relay put this one (REL-4).
    relay_update(RelayUpdate) -> Done;
    /// Tells which path worked (NAT-3).
    path_report(PathReport) -> Done;
}

impl Client {
    /// The identifiers of this device, and how it got them (REG-11).
    pub async fn register_list(&self) -> Result<RegistrationList, CallError> {
        self.call(&RegisterList {}).await
    }

    /// What the host has for this device.
    pub async fn sync(&self) -> Result<Snapshot, CallError> {
        self.call(&Sync {}).await
    }
}

/// What an event still counts after it has waited for the application.
fn aged(mut delivered: Box<Delivered>, waited: Duration) -> ClientEvent {
    let left = delivered.expires_in_ms.map(|left| left.saturating_sub(millis(waited)));
    delivered.expires_in_ms = left;
    ClientEvent::Event(delivered)
}

impl Inner {
    fn stop_now(&self) {
        self.stop.token().cancel();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = &self.inner.identity.device;
        f.debug_struct("Client").field("device", device).finish_non_exhaustive()
    }
}

impl Events {
    /// The next event; none when the client is closed.
    ///
    /// Asking for the next says that the application is done with the one before, which is then
    /// acknowledged: what an application was about to handle when it died comes again.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        loop {
            self.done();
            let item = self.items.recv().await?;
            self.last = item.place;
            match item.event {
                Some(ClientEvent::Event(delivered)) => return Some(aged(delivered, item.at.elapsed())),
                Some(event) => return Some(event),
                None => {}
            }
        }
    }

    /// Says that the application is done with the last event, without asking for the next.
    pub fn done(&mut self) {
        if let Some(place) = self.last.take() {
            self.handled.send_replace(Some(place));
        }
    }

    /// The last event that the application was done with in this process, for its store.
    pub fn cursor(&self) -> Option<Cursor> {
        self.handled.borrow().clone()
    }
}
