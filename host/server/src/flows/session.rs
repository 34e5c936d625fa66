//! A running session: what participants tell each other, who leaves, who is lost (INV-7, INV-8, INV-11).

pub(crate) mod ask;

use rand::rngs::StdRng;
use switchhook_core::{
    row::{Participant, Session, Target},
    seal::KeyRing,
    session::{self, LOST, Running, StillRinging},
    ticket::SessionTicket,
};
use switchhook_protocol::{
    call::Done,
    error::ErrorCode,
    id::{SessionId, TenantId},
    session::{End, InviteUpdate, SessionRenew, SessionRenewed, SessionUpdate},
    time::{Timestamp, millis},
};
use switchhook_storage::{Committed, Transaction};

use super::{Caller, FlowError, repeat::Repeatable};
use crate::app::App;

pub(crate) async fn show_answer(
    app: &App,
    caller: &Caller,
    request: InviteUpdate,
) -> Result<Done, FlowError> {
    let (ticket, now, mut rng) = (open(app, caller, &request.ticket)?, app.now(), app.rng());
    let storage = app.storage.of(&caller.tenant);
    let committed = storage
        .run("invite-update", async move |tx| {
            let loaded = Loaded::load(tx, &ticket.session).await?;
            let writes = loaded.running(now).show_answer(&ticket, &mut rng)?;
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(&caller.tenant, committed);
    Ok(Done {})
}

pub(crate) async fn update(app: &App, caller: &Caller, request: SessionUpdate) -> Result<Done, FlowError> {
    let repeat = Repeatable::of(caller, request.idempotency_key.as_ref(), &request)?;
    let storage = app.storage.of(&caller.tenant);
    if let Some(done) = repeat.answered(&storage).await? {
        return Ok(done);
    }
    let told = tell(app, caller, request, &repeat).await;
    repeat.settle(&storage, told).await
}

async fn tell(
    app: &App,
    caller: &Caller,
    request: SessionUpdate,
    repeat: &Repeatable<'_>,
) -> Result<Done, FlowError> {
    let (ticket, now, mut rng) = (open(app, caller, &request.ticket)?, app.now(), app.rng());
    app.bounds.update(&caller.tenant, &caller.device.id, now).map_err(FlowError::too_often)?;
    let kept = repeat.keep(&Done {}, now)?;
    let storage = app.storage.of(&caller.tenant);
    let committed = storage
        .run("session-update", async move |tx| {
            let loaded = Loaded::load(tx, &ticket.session).await?;
            let mut writes = loaded.running(now).update(&ticket, &request.data, &mut rng)?;
            writes.extend(kept);
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(&caller.tenant, committed);
    Ok(Done {})
}

/// A session may run longer than a ticket lives, and than the keys that sealed it are remembered.
pub(crate) async fn renew(
    app: &App,
    caller: &Caller,
    request: &SessionRenew,
) -> Result<SessionRenewed, FlowError> {
    let now = app.now();
    let ticket = participant(app, caller, &request.ticket).await?.renewed(now);
    let expires_in_ms = millis(now.until(ticket.expires_at));
    Ok(SessionRenewed { ticket: ticket.seal(&app.keys.of(&caller.tenant), &mut app.rng()), expires_in_ms })
}

pub(crate) async fn end(app: &App, caller: &Caller, request: End) -> Result<Done, FlowError> {
    session::check_reason(&request.reason)?;
    let (keys, ticket) = (app.keys.of(&caller.tenant), open(app, caller, &request.ticket)?);
    let (now, mut rng) = (app.now(), app.rng());
    let storage = app.storage.of(&caller.tenant);
    let committed = storage
        .run("end", async move |tx| {
            let loaded = Loaded::load(tx, &ticket.session).await?;
            let who = loaded.running(now).participant(&ticket)?;
            loaded.without(tx, who, (&request.reason, now), (&keys, &mut rng)).await
        })
        .await?;
    app.wake(&caller.tenant, committed);
    app.left.notify_one();
    app.metrics.ended.inc();
    Ok(Done {})
}

/// Takes a participant out whom no node has seen for long; false if one has meanwhile.
pub(crate) async fn lose(app: &App, tenant: &TenantId, lost: Participant) -> Result<bool, FlowError> {
    let (keys, now, mut rng) = (app.keys.of(tenant), app.now(), app.rng());
    let storage = app.storage.of(tenant);
    let committed = storage
        .run("lose-participant", async move |tx| {
            let loaded = Loaded::load(tx, &lost.session).await?;
            let still = |it: &&Participant| it.device == lost.device && it.seen_at == lost.seen_at;
            let Some(who) = loaded.participants.iter().find(still) else { return Ok(None) };
            loaded.without(tx, who, (LOST, now), (&keys, &mut rng)).await.map(Some)
        })
        .await?;
    let Some(committed) = committed else { return Ok(false) };
    app.wake(tenant, committed);
    app.left.notify_one();
    app.metrics.lost.inc();
    Ok(true)
}

/// The ticket of a device that takes part in a running session.
pub(crate) async fn participant(
    app: &App,
    caller: &Caller,
    sealed: &str,
) -> Result<SessionTicket, FlowError> {
    let ticket = open(app, caller, sealed)?;
    let storage = app.storage.of(&caller.tenant);
    let session = storage.sessions().get(&ticket.session).await?.ok_or(ErrorCode::NotRunning)?;
    let participants = storage.sessions().participants(&ticket.session).await?;
    let running = Running { session: &session, participants: &participants, devices: &[], now: app.now() };
    running.participant(&ticket)?;
    Ok(ticket)
}

/// Whoever has left since its ticket was read is told nothing more, and nothing is told for it.
pub(crate) async fn still_takes_part(
    tx: &mut Transaction<'_>,
    ticket: &SessionTicket,
    now: Timestamp,
) -> Result<(), FlowError> {
    Loaded::load(tx, &ticket.session).await?.running(now).participant(ticket)?;
    Ok(())
}

fn open(app: &App, caller: &Caller, sealed: &str) -> Result<SessionTicket, ErrorCode> {
    SessionTicket::open(&app.keys.of(&caller.tenant), sealed, &caller.device.id, app.now())
}

/// What a transaction has read of a session.
struct Loaded {
    session: Session,
    participants: Vec<Participant>,
    devices: Vec<Target>,
}

impl Loaded {
    async fn load(tx: &mut Transaction<'_>, session: &SessionId) -> Result<Self, FlowError> {
        let session = tx.session(session).await?.ok_or(ErrorCode::NotRunning)?;
        let participants = tx.participants(&session.id).await?;
        let devices = tx.targets(&session.application, &session::identifiers(&participants)).await?;
        Ok(Self { session, participants, devices })
    }

    fn running(&self, now: Timestamp) -> Running<'_> {
        Running { session: &self.session, participants: &self.participants, devices: &self.devices, now }
    }

    /// Goes on without a participant, or ends.
    async fn without(
        &self,
        tx: &mut Transaction<'_>,
        who: &Participant,
        (reason, now): (&str, Timestamp),
        (keys, rng): (&KeyRing, &mut StdRng),
    ) -> Result<Committed, FlowError> {
        let (invitations, legs) = (tx.invitations(&self.session.id).await?, tx.legs(&self.session.id).await?);
        let ringing = StillRinging { invitations: &invitations, legs: &legs };
        let writes = self.running(now).leave(who, reason, (keys, ringing), rng);
        Ok(tx.apply(writes).await?)
    }
}
