//! Sync: what the host has for a device that missed something: registrations, rings and running sessions.

use switchhook_core::{row::Session, session::running_ms};
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
        sessions.push(running(&storage, caller, session, now).await?);
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
    storage: &TenantStorage,
    caller: &Caller,
    session: Session,
    now: Timestamp,
) -> Result<RunningSession, FlowError> {
    let participants = storage.sessions().participants(&session.id).await?;
    Ok(RunningSession {
        takes_part: participants.iter().any(|participant| participant.device == caller.device.id),
        running_ms: running_ms(&participants, now),
        participants: participants.into_iter().map(|participant| participant.endpoint).collect(),
        session: session.id,
        purpose: session.purpose,
    })
}
