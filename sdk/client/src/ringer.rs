//! Ringing: the application's ringer, begun by an invite and stopped by whatever comes first.
//!
//! A ring is a lease. It ends by the device's own clock, by the host's `cancel`, or by the device's
//! own accept or decline. `stopped` tells the host that the ringer has stopped, so it is sent after
//! the ringer's `stop` has returned, never before: it is the proof of silence.
//!
//! Each ring is a task of its own, so that a slow ringer holds up neither events nor other rings.

use core::{fmt, time::Duration};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use switchhook_protocol::{
    error::ErrorCode,
    event::{Delivered, Event, Rung},
    id::SessionId,
    invitation::{Accept, Accepted, Decline, Ringing, Stopped},
};
use tokio::{
    sync::{oneshot, watch},
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use crate::{
    client::{CallError, Client, ClientEvent},
    limits,
};

/// How the application rings. Each call returns when it is done: `stop`, when the device is silent.
///
/// `start` is dropped where it waits if the ring is over before it has returned; `stop` follows in
/// any case.
pub trait Ringer: Send + Sync + 'static {
    /// Begins to ring.
    fn start(&self, rung: &Rung) -> impl Future<Output = ()> + Send;

    /// Stops ringing, and returns when the device is silent.
    fn stop(&self, rung: &Rung) -> impl Future<Output = ()> + Send;
}

/// The rings of one device. Clones are the same rings.
pub struct Rings<R> {
    inner: Arc<Inner<R>>,
}

struct Inner<R> {
    client: Client,
    ringer: R,
    rings: Mutex<HashMap<SessionId, Ring>>,
    tasks: TaskTracker,
}

struct Ring {
    stop: watch::Sender<Stop>,
    /// None once somebody waits for it.
    silent: Option<oneshot::Receiver<()>>,
}

/// What a ring's task is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Go on.
    Not,
    /// Stop; the inviter still chooses whom it takes, and the host will say.
    Offered,
    /// Stop, and confirm it.
    Confirm,
    /// Stop; the host knows why.
    Silently,
}

impl<R: Ringer> Rings<R> {
    /// Rings by this ringer what this client is invited to.
    pub fn new(client: Client, ringer: R) -> Self {
        let inner = Inner { client, ringer, rings: Mutex::default(), tasks: TaskTracker::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Takes notice of an event; to be called with each, in their order. Never waits for the ringer.
    pub fn handle(&self, event: &ClientEvent) {
        let ClientEvent::Event(delivered) = event else { return };
        match &delivered.event {
            Event::Invite(rung) => self.begin(rung, delivered),
            Event::Cancel(cancel) => drop(self.end(&cancel.session, Stop::Confirm)),
            Event::Taken(taken) => drop(self.end(&taken.session, Stop::Silently)),
            Event::Accept(_)
            | Event::Decline(_)
            | Event::Ringing(_)
            | Event::Outcome(_)
            | Event::Rerouted(_)
            | Event::RelayResponse(_)
            | Event::ConnectionData(_)
            | Event::RelayUpdate(_)
            | Event::InviteUpdate(_)
            | Event::SessionUpdate(_)
            | Event::SessionAsked(_)
            | Event::SessionRefused(_)
            | Event::Notice(_)
            | Event::Asked(_)
            | Event::RegisteredElsewhere(_) => {}
        }
    }

    /// Accepts; the ringer has stopped when this returns. It stops too where the host says that the ring
    /// is over or that another device was first; after any other refusal it rings on, and the
    /// application may accept again.
    pub async fn accept(&self, rung: &Rung, accept: &Accept) -> Result<Accepted, CallError> {
        let answer = self.inner.client.accept(accept).await;
        match &answer {
            Ok(accepted) if accepted.awaits_take => self.hush(&rung.session).await,
            Ok(_) => self.silence(&rung.session, Stop::Silently).await,
            Err(CallError::Refused(error)) if is_over(error.code) => {
                self.silence(&rung.session, Stop::Confirm).await;
            }
            // The host wants another accept, or nobody knows what it thinks: up to its lease, the ring goes on.
            Err(_) => {}
        }
        answer
    }

    /// Declines; the ringer has stopped before the host is told.
    pub async fn decline(&self, rung: &Rung, reason: &str) -> Result<(), CallError> {
        self.silence(&rung.session, Stop::Silently).await;
        let decline = Decline { ticket: rung.ticket.clone(), reason: reason.to_owned() };
        self.inner.client.decline(&decline).await.map(|_done| ())
    }

    /// Stops all rings without a word, and waits for the ringer.
    pub async fn close(&self) {
        let sessions: Vec<SessionId> = self.inner.rings().keys().cloned().collect();
        for session in sessions {
            self.silence(&session, Stop::Silently).await;
        }
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    fn begin(&self, rung: &Rung, delivered: &Delivered) {
        let lease = delivered.expires_in_ms.map(Duration::from_millis);
        let (stop, stopping) = watch::channel(Stop::Not);
        let (silent_now, silent) = oneshot::channel();
        let mut rings = self.inner.rings();
        if rings.contains_key(&rung.session) {
            return;
        }
        rings.insert(rung.session.clone(), Ring { stop, silent: Some(silent) });
        drop(rings);
        let (inner, rung) = (Arc::clone(&self.inner), rung.clone());
        self.inner.tasks.spawn(async move { inner.ring(&rung, lease, stopping, silent_now).await });
    }

    async fn silence(&self, session: &SessionId, how: Stop) {
        if let Some(silent) = self.end(session, how) {
            // An error says that the task is gone, and then nothing rings.
            _ = silent.await;
        }
    }

    /// Stops a ring that has been offered to the inviter, and keeps it for the host's word.
    async fn hush(&self, session: &SessionId) {
        let silent = self.inner.rings().get_mut(session).and_then(|ring| {
            ring.stop.send_replace(Stop::Offered);
            ring.silent.take()
        });
        if let Some(silent) = silent {
            _ = silent.await;
        }
    }

    fn end(&self, session: &SessionId, how: Stop) -> Option<oneshot::Receiver<()>> {
        let ring = self.inner.rings().remove(session)?;
        ring.stop.send_replace(how);
        ring.silent
    }
}

impl<R: Ringer> Inner<R> {
    /// One ring, from its start to the proof of its silence.
    async fn ring(
        &self,
        rung: &Rung,
        lease: Option<Duration>,
        mut stopping: watch::Receiver<Stop>,
        silent: oneshot::Sender<()>,
    ) {
        self.sound(rung, lease, &mut stopping).await;
        self.ringer.stop(rung).await;
        // Who waits for silence has it; nobody may wait.
        _ = silent.send(());
        self.confirm(rung, stopping).await;
    }

    /// Rings until the lease is over or the task is told to stop.
    async fn sound(&self, rung: &Rung, lease: Option<Duration>, stopping: &mut watch::Receiver<Stop>) {
        let beginning = async {
            self.ringer.start(rung).await;
            let ringing = Ringing { ticket: rung.ticket.clone() };
            if let Err(error) = self.client.ringing(&ringing).await {
                tracing::debug!(%error, session.id = %rung.session, "the host was not told that it rings");
            }
        };
        // The lease counts from the delivery, however long the ringer takes to begin.
        let over = lease_over(lease);
        let told = stopping.wait_for(|stop| *stop != Stop::Not);
        tokio::pin!(beginning, over, told);
        let mut begun = false;
        loop {
            tokio::select! {
                biased;
                _ = &mut told => return,
                () = &mut over => return,
                () = &mut beginning, if !begun => begun = true,
            }
        }
    }

    async fn confirm(&self, rung: &Rung, mut stopping: watch::Receiver<Stop>) {
        // After its lease a ring is silent, and waits for the host's word to confirm it.
        let is_last = |stop: &Stop| matches!(stop, Stop::Confirm | Stop::Silently);
        let told = async { stopping.wait_for(is_last).await.map(|how| *how) };
        let word = timeout(limits::LAST_WORD, told).await;
        if !matches!(word, Ok(Ok(Stop::Confirm))) {
            self.rings().remove(&rung.session);
            return;
        }
        if let Err(error) = self.client.stopped(&Stopped { ticket: rung.ticket.clone() }).await {
            tracing::info!(%error, session.id = %rung.session, "the host was not told that the ring has stopped");
        }
    }

    fn rings(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an accept that was refused so can never be taken.
const fn is_over(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::AnsweredElsewhere | ErrorCode::NoLongerRinging | ErrorCode::TicketExpired)
}

async fn lease_over(lease: Option<Duration>) {
    match lease {
        Some(lease) => sleep(lease).await,
        None => core::future::pending().await,
    }
}

impl<R> Clone for Rings<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<R> fmt::Debug for Rings<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rings").field("client", &self.inner.client).finish_non_exhaustive()
    }
}
