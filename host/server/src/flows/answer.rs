//! Decline, cancel, ringing, stopped: what else devices say of a ringing session (INV-4, INV-17).

use switchhook_core::{
    invitation::{answer, course::Course},
    ticket::{Role, SessionTicket},
};
use switchhook_protocol::{
    call::Done,
    error::ErrorCode,
    invitation::{Cancel, Decline, Ringing, Stopped},
};

use super::{Caller, FlowError};
use crate::app::App;

pub(crate) async fn decline(app: &App, caller: &Caller, request: Decline) -> Result<Done, FlowError> {
    let keys = app.keys.of(&caller.tenant);
    let ticket = open(app, caller, &request.ticket)?;
    let user = ticket.user()?;
    let (now, mut rng) = (app.now(), app.rng());
    let storage = app.storage.of(&caller.tenant);
    let committed = storage
        .run("decline", async move |tx| {
            let invitation = tx.invitation(&ticket.session, user).await?.ok_or(ErrorCode::NoLongerRinging)?;
            let legs = tx.legs_of(&ticket.session, user).await?;
            let course = Course::of(&invitation, &keys);
            let of = (&invitation, legs.as_slice(), course.as_ref());
            let writes = answer::decline(&keys, &ticket, &request.reason, of, now, &mut rng)?;
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(&caller.tenant, committed);
    // The router may be wanted.
    app.timers.notify_one();
    Ok(Done {})
}

pub(crate) async fn cancel(app: &App, caller: &Caller, request: Cancel) -> Result<Done, FlowError> {
    let ticket = open(app, caller, &request.ticket)?;
    if ticket.role != Role::Inviter {
        return Err(ErrorCode::WrongRole.into());
    }
    let (now, mut rng) = (app.now(), app.rng());
    let storage = app.storage.of(&caller.tenant);
    let committed = storage
        .run("cancel", async move |tx| {
            let invitations = tx.invitations(&ticket.session).await?;
            let legs = tx.legs(&ticket.session).await?;
            let writes = answer::cancel(&invitations, &legs, now, &mut rng)?;
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(&caller.tenant, committed);
    app.metrics.cancelled.inc();
    Ok(Done {})
}

pub(crate) async fn ringing(app: &App, caller: &Caller, request: Ringing) -> Result<Done, FlowError> {
    let keys = app.keys.of(&caller.tenant);
    let ticket = open(app, caller, &request.ticket)?;
    let user = ticket.user()?;
    let (now, mut rng) = (app.now(), app.rng());
    let storage = app.storage.of(&caller.tenant);
    let committed = storage
        .run("ringing", async move |tx| {
            let legs = tx.legs_of(&ticket.session, user).await?;
            let writes = answer::ringing(&keys, &ticket, &legs, now, &mut rng)?;
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(&caller.tenant, committed);
    Ok(Done {})
}

pub(crate) async fn stopped(app: &App, caller: &Caller, request: Stopped) -> Result<Done, FlowError> {
    let ticket = open(app, caller, &request.ticket)?;
    let user = ticket.user()?;
    let now = app.now();
    let storage = app.storage.of(&caller.tenant);
    storage
        .run("stopped", async move |tx| {
            let legs = tx.legs_of(&ticket.session, user).await?;
            let writes = answer::stopped(&ticket, &legs, now)?;
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.metrics.stop_confirmed.inc();
    Ok(Done {})
}

fn open(app: &App, caller: &Caller, sealed: &str) -> Result<SessionTicket, ErrorCode> {
    SessionTicket::open(&app.keys.of(&caller.tenant), sealed, &caller.device.id, app.now())
}
