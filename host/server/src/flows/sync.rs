//! Sync: what the host has for a device that missed something: registrations, rings and running sessions.

use switchhook_core::{
    row::Session,
    session::{Running, running_ms},
};
use switchhook_protocol::{
    call::Snapshot,
    error::ErrorCode,
    session::{RingingSession, RunningSession},
    time::{Timestamp, millis},
};
use switchhook_storage::TenantStorage;

use super::{Caller, FlowError};
use crate::{app::App, limits};

pub(crate) async fn sync(app: &App, caller: &Caller) -> Result<Snapshot, FlowError> {
    let (device, now) = (&caller.device.id, app.now());
    let storage = app.storage.of(&caller.tenant);
    // The place in the mailbox first: what changes after it comes as an event too.
    let state = storage.mailbox(device).state(now).await?.ok_or(ErrorCode::Internal)?;
    let registrations = storage.registrations().of_device(device).await?;
    let rings = storage.sessions().ringing(device, now, limits::SNAPSHOT).await?;
    let mut sessions = Vec::new();
    for session in storage.sessions().of_device(device, limits::SNAPSHOT).await? {
        sessions.push(running(app, &storage, caller, session).await?);
    }
    Ok(Snapshot {
        epoch: state.epoch,
        seq: state.last_seq,
        registrations,
        rings: rings.into_iter().map(|(session, until)| ringing(session, now, until)).collect(),
        sessions,
    })
}

fn ringing(session: Session, now: Timestamp, until: Timestamp) -> RingingSession {
    RingingSession {
        session: session.id,
        from: session.inviter_endpoint,
        purpose: session.purpose,
        rings_ms: millis(now.until(until)),
    }
}

async fn running(
    app: &App,
    storage: &TenantStorage,
    caller: &Caller,
    session: Session,
) -> Result<RunningSession, FlowError> {
    let (participants, now) = (storage.sessions().participants(&session.id).await?, app.now());
    let running = Running { session: &session, participants: &participants, devices: &[], now };
    let ticket = running.ticket_of(&caller.device.id, &mut app.rng());
    let keys = app.keys.of(&caller.tenant);
    Ok(RunningSession {
        takes_part: participants.iter().any(|participant| participant.device == caller.device.id),
        ticket: ticket.map(|ticket| ticket.seal(&keys, &mut app.rng())),
        running_ms: running_ms(&participants, now),
        participants: participants.into_iter().map(|participant| participant.endpoint).collect(),
        session: session.id,
        purpose: session.purpose,
    })
}
