//! The relay of a session: asked for by either side, without a second ring (NAT-4, REL-1 to REL-4).

use switchhook_core::{
    invitation::accept::RelayPair,
    lesson::{Lesson, lesson},
    relay,
    relay_choice::choose,
    ticket::{Member, SessionTicket},
};
use switchhook_protocol::{
    call::{Done, PathReport},
    error::ErrorCode,
    id::SessionId,
    relay::{RelayCredentials, RelayRequest, RelayResponse, RelayUpdate},
};
use tracing::info;

use super::{Caller, FlowError, session::participant};
use crate::app::App;

pub(crate) async fn request(
    app: &App,
    caller: &Caller,
    request: RelayRequest,
) -> Result<RelayResponse, FlowError> {
    let ticket = participant(app, caller, &request.ticket).await?;
    let own = credentials(app, caller, &ticket, &ticket.own)?;
    let peers = credentials(app, caller, &ticket, ticket.peer()?)?;
    let writes = relay::give(&ticket, peers, app.now(), &mut app.rng())?;
    let committed = app.storage.of(&caller.tenant).commit("relay-request", writes).await?;
    app.wake(&caller.tenant, committed);
    app.metrics.relay_requested.inc();
    Ok(RelayResponse { relay: own })
}

pub(crate) async fn update(app: &App, caller: &Caller, request: RelayUpdate) -> Result<Done, FlowError> {
    let ticket = participant(app, caller, &request.ticket).await?;
    let keys = app.keys.of(&caller.tenant);
    let writes = relay::update(&keys, &ticket, &request, app.now(), &mut app.rng())?;
    let committed = app.storage.of(&caller.tenant).commit("relay-update", writes).await?;
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

/// Credentials of both sides of an accept (REL-2).
pub(crate) fn credentials_of_both(
    app: &App,
    caller: &Caller,
    ticket: &SessionTicket,
    (inviter, invited): (Option<&str>, Option<&str>),
) -> Result<RelayPair, ErrorCode> {
    let hosts = app.relay_hosts();
    let choice = choose(&hosts, inviter, invited, app.now()).ok_or(ErrorCode::NoRelay)?;
    let keys = (app.keys.relay(&choice.a.id), app.keys.relay(&choice.b.id));
    let (now, mut rng) = (app.now(), app.rng());
    let mut mint = |row, keys, member| {
        let host = relay::Host { row, keys, realm: app.relay_realm() };
        relay::credentials(host, (&caller.tenant, ticket, member), now, &mut rng)
    };
    Ok(RelayPair {
        inviter: mint(choice.a, &keys.0, ticket.peer()?),
        invited: mint(choice.b, &keys.1, &ticket.own),
    })
}

fn credentials(
    app: &App,
    caller: &Caller,
    ticket: &SessionTicket,
    member: &Member,
) -> Result<RelayCredentials, ErrorCode> {
    let hosts = app.relay_hosts();
    let choice = choose(&hosts, None, None, app.now()).ok_or(ErrorCode::NoRelay)?;
    let keys = app.keys.relay(&choice.a.id);
    let host = relay::Host { row: choice.a, keys: &keys, realm: app.relay_realm() };
    Ok(relay::credentials(host, (&caller.tenant, ticket, member), app.now(), &mut app.rng()))
}
