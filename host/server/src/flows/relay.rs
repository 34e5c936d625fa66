//! The relay of a session: asked for by either side, without a second ring (NAT-4, REL-1 to REL-4).

use switchhook_core::{
    lesson::{Lesson, lesson},
    relay,
    relay_choice::{Place, choose},
    relay_host::RelayHost,
    relay_token::RelayShare,
    ticket::SessionTicket,
};
use switchhook_protocol::{
    call::{Done, PathReport},
    error::ErrorCode,
    id::SessionId,
    relay::{RelayCredentials, RelayRequest, RelayResponse, RelayUpdate},
};
use tracing::info;

use super::{
    Caller, FlowError,
    session::{participant, still_takes_part},
};
use crate::{app::App, relay_hosts};

pub(crate) async fn request(
    app: &App,
    caller: &Caller,
    request: RelayRequest,
) -> Result<RelayResponse, FlowError> {
    let ticket = participant(app, caller, &request.ticket).await?;
    let now = app.now();
    app.bounds.update(&caller.tenant, &caller.device.id, now).map_err(FlowError::too_often)?;
    let places = ticket.places();
    let [own, peers] = credentials(app, caller, &ticket, (&places.0, &places.1)).await?;
    let writes = relay::give(&ticket, peers, now, &mut app.rng())?;
    let storage = app.storage.of(&caller.tenant);
    let committed = storage.run("relay-request", async move |tx| {
        still_takes_part(tx, &ticket, now).await?;
        tx.want_relay(&ticket.session, &ticket.invited()?.device).await?;
        Ok::<_, FlowError>(tx.apply(writes).await?)
    });
    let committed = committed.await?;
    app.wake(&caller.tenant, committed);
    app.metrics.relay_requested.inc();
    Ok(RelayResponse { relay: own })
}

pub(crate) async fn update(app: &App, caller: &Caller, request: RelayUpdate) -> Result<Done, FlowError> {
    let ticket = participant(app, caller, &request.ticket).await?;
    let (keys, now) = (app.keys.of(&caller.tenant), app.now());
    app.bounds.update(&caller.tenant, &caller.device.id, now).map_err(FlowError::too_often)?;
    let writes = relay::update(&keys, &ticket, &request, now, &mut app.rng())?;
    let storage = app.storage.of(&caller.tenant);
    let committed = storage.run("relay-update", async move |tx| {
        still_takes_part(tx, &ticket, now).await?;
        Ok::<_, FlowError>(tx.apply(writes).await?)
    });
    let committed = committed.await?;
    app.wake(&caller.tenant, committed);
    Ok(Done {})
}

pub(crate) async fn path_report(app: &App, caller: &Caller, request: PathReport) -> Result<Done, FlowError> {
    let ticket = participant(app, caller, &request.ticket).await?;
    if let Some(lesson) = lesson(&ticket, request.path) {
        learn(app, caller, &ticket.session, lesson).await?;
    }
    app.metrics.path(request.path);
    info!(
        tenant.id = %caller.tenant, session.id = %ticket.session, device.id = %caller.device.id,
        path = ?request.path, took_ms = request.took_ms, "a path works"
    );
    Ok(Done {})
}

/// Counted with the device's updates, since each is a write.
async fn learn(app: &App, caller: &Caller, session: &SessionId, lesson: Lesson<'_>) -> Result<(), FlowError> {
    let (session, networks, now) = (session.clone(), lesson.networks.to_owned(), app.now());
    app.bounds.update(&caller.tenant, &caller.device.id, now).map_err(FlowError::too_often)?;
    let storage = app.storage.of(&caller.tenant);
    let counted = storage
        .run("path-report", async move |tx| tx.count_path(&session, (&networks, lesson.worked), now).await);
    Ok(counted.await?)
}

/// Chooses relay hosts for the holder of a ticket and the other side, from where both are; the credentials of each for
/// its own (REL-1, REL-2).
pub(crate) async fn credentials(
    app: &App,
    caller: &Caller,
    ticket: &SessionTicket,
    (own, peers): (&Place, &Place),
) -> Result<[RelayCredentials; 2], FlowError> {
    let (hosts, now) = (relay_hosts::all(app).await?, app.now());
    let choice = choose(&hosts, own, peers, now).ok_or(ErrorCode::NoRelay)?;
    let family = choice.family();
    let share = RelayShare::from(&app.bounds.of(&caller.tenant).limits);
    let mut rng = app.rng();
    let mut mint = |row: &RelayHost, member| {
        let keys = app.keys.relay(&row.id);
        let host = relay::Host { row, keys: &keys, realm: app.relay_realm(), family };
        relay::credentials(host, (&caller.tenant, share), (ticket, member), now, &mut rng)
    };
    Ok([mint(choice.a, &ticket.own), mint(choice.b, ticket.peer()?)])
}
