//! Session ask: another device of a user who takes part asks for the session, and is refused (INV-18).

use switchhook_core::{
    session::{self, ask::ASK},
    ticket::Alias,
};
use switchhook_protocol::{
    call::Done,
    session::{SessionAsk, SessionAskPending, SessionRefuse},
    time::millis,
};

use super::Loaded;
use crate::{
    app::App,
    flows::{Caller, FlowError},
};

pub(crate) async fn ask(
    app: &App,
    caller: &Caller,
    request: SessionAsk,
) -> Result<SessionAskPending, FlowError> {
    let (keys, now, mut rng) = (app.keys.of(&caller.tenant), app.now(), app.rng());
    app.bounds.update(&caller.tenant, &caller.device.id, now).map_err(FlowError::too_often)?;
    let (storage, asker) = (app.storage.of(&caller.tenant), caller.device.id.clone());
    let committed = storage
        .run("session-ask", async move |tx| {
            let loaded = Loaded::load(tx, &request.session).await?;
            let writes = loaded.running(now).ask(&asker, &keys, &mut rng)?;
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(&caller.tenant, committed);
    Ok(SessionAskPending { asks_ms: millis(ASK) })
}

pub(crate) async fn refuse(app: &App, caller: &Caller, request: SessionRefuse) -> Result<Done, FlowError> {
    session::check_reason(&request.reason)?;
    let ticket = super::open(app, caller, &request.ticket)?;
    let asker = Alias::open(&app.keys.of(&caller.tenant), &request.to, &ticket.session)?;
    let (now, mut rng) = (app.now(), app.rng());
    app.bounds.update(&caller.tenant, &caller.device.id, now).map_err(FlowError::too_often)?;
    let storage = app.storage.of(&caller.tenant);
    let committed = storage
        .run("session-refuse", async move |tx| {
            let loaded = Loaded::load(tx, &ticket.session).await?;
            let writes = loaded.running(now).refuse(&ticket, &asker, &request.reason, &mut rng)?;
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(&caller.tenant, committed);
    Ok(Done {})
}
