//! Relay hosts: the operator lists, drains and removes them; each of those apart says where it is, by its own token.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_core::relay_host::{MAX_HOSTS, RelayAddresses, RelayHost, Said};
use switchhook_protocol::{error::ErrorCode, id::RelayHostId, time::Timestamp};
use utoipa::ToSchema;

use super::{OfRelayHost, Operator, schemas};
use crate::{
    app::App,
    http::{
        extract::{Body, Path},
        problem::Problem,
    },
    limits,
    relay_hosts::{
        all, others,
        told::{Beat, Gone, Orders, Relayed, RelayedOne},
    },
};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RelayHosts {
    relay_hosts: Vec<Shown>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RelayHost)]
pub(crate) struct Shown {
    #[schema(value_type = String)]
    host: RelayHostId,
    /// It belongs to a node, and goes with it.
    built_in: bool,
    region: String,
    /// Networks that it is near to.
    near: Vec<String>,
    #[schema(value_type = schemas::RelayAddresses)]
    addresses: RelayAddresses,
    /// Allocations that it can hold.
    capacity: u32,
    /// Allocations that it holds.
    held: u32,
    state: Condition,
    /// Whether it has heard of all others: of two hosts that have not, a session uses only one.
    knows_others: bool,
    /// When it was last seen, in milliseconds since 1970.
    #[schema(value_type = u64)]
    seen_at: Timestamp,
}

/// How it is with a relay host.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RelayHostState)]
enum Condition {
    /// It was seen within ten seconds.
    Alive,
    /// The same, and the operator wants nobody to be sent there.
    Drained,
    /// It ends as soon as nobody uses it any more.
    Leaving,
    /// It was not seen for longer than that.
    Dead,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DrainRelayHost)]
pub(crate) struct Drain {
    /// Send nobody there any more; who is there stays.
    drain: bool,
}

#[derive(Deserialize)]
pub(crate) struct Named {
    host: RelayHostId,
}

/// Lists the relay hosts, dead ones too.
#[utoipa::path(get, path = "/relay-hosts", operation_id = "list_relay_hosts",
    responses((status = OK, body = RelayHosts, description = "In the order of their ids.")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Operator(_): Operator,
) -> Result<Json<RelayHosts>, Problem> {
    let (hosts, now) = (all(&app).await?, app.now());
    let shown = hosts.iter().map(|host| shown(host, &hosts, now)).collect();
    Ok(Json(RelayHosts { relay_hosts: shown }))
}

/// Forgets a relay host, and lets its tokens count no more. One that still runs keeps what it relays.
#[utoipa::path(delete, path = "/relay-hosts/{host}", operation_id = "remove_relay_host",
    responses((status = NO_CONTENT, description = "Nobody is sent there any more.")))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Path(Named { host }): Path<Named>,
    Operator(who): Operator,
) -> Result<StatusCode, Problem> {
    let noted = who.entry(("relay-host.remove", host.as_str()), String::new(), app.now());
    done(app.storage.relay_hosts().remove(&host, noted).await?)
}

/// Sends nobody to a relay host any more, or again; who is there stays.
#[utoipa::path(put, path = "/relay-hosts/{host}/drain", operation_id = "drain_relay_host", request_body = Drain,
    responses((status = NO_CONTENT, description = "So it is, also when the host starts again.")))]
pub(crate) async fn drain(
    State(app): State<Arc<App>>,
    Path(Named { host }): Path<Named>,
    Operator(who): Operator,
    Body(Drain { drain }): Body<Drain>,
) -> Result<StatusCode, Problem> {
    let noted = who.entry(("relay-host.drain", host.as_str()), drain.to_string(), app.now());
    done(app.storage.relay_hosts().drain(&host, drain, noted).await?)
}

/// Tells a relay host, by its own token, what it needs before it can be reached.
#[utoipa::path(get, path = "/relay-host", operation_id = "enter_relay_host",
    responses((status = OK, body = Orders, description = "Its id, its own keys, and the other hosts.")))]
pub(crate) async fn enter(
    State(app): State<Arc<App>>,
    OfRelayHost(host): OfRelayHost,
) -> Result<Json<Orders>, Problem> {
    orders(&app, host).await
}

/// A relay host says, by its own token, that it lives, where it is and how full.
#[utoipa::path(put, path = "/relay-host", operation_id = "beat_relay_host", request_body = Beat,
    responses((status = OK, body = Orders, description = "What it has to know.")))]
pub(crate) async fn beat(
    State(app): State<Arc<App>>,
    OfRelayHost(host): OfRelayHost,
    Body(beat): Body<Beat>,
) -> Result<Json<Orders>, Problem> {
    let said = Said::from(beat);
    said.check().map_err(|why| Problem::new(ErrorCode::Malformed, why.to_string()))?;
    let known = app.storage.relay_hosts().all().await?;
    let (before, now) = (known.iter().find(|other| other.id == host), app.now());
    let alive = known.iter().filter(|other| other.is_alive(now)).count();
    if before.is_none() && alive >= usize::try_from(MAX_HOSTS).unwrap_or(usize::MAX) {
        return Err(Problem::new(ErrorCode::Conflict, format!("there are {MAX_HOSTS} relay hosts already")));
    }
    let moved = before.is_none_or(|before| before.said.addresses != said.addresses);
    app.storage.relay_hosts().beat((&host, false), &said, now).await?;
    app.storage.relay_hosts().forget_removed(&host).await?;
    if moved {
        app.relay.news.notify_one();
    }
    orders(&app, host).await
}

/// Of those who hold allocations of a relay host, tells it who takes part no more.
#[utoipa::path(post, path = "/relay-host/taking-part", operation_id = "relayed_taking_part", request_body = Relayed,
    responses((status = OK, body = Gone, description = "Those whose allocations are to be dropped.")))]
pub(crate) async fn taking_part(
    State(app): State<Arc<App>>,
    OfRelayHost(_): OfRelayHost,
    Body(Relayed { participants }): Body<Relayed>,
) -> Result<Json<Gone>, Problem> {
    if participants.len() > limits::RELAYED_TOLD {
        return Err(ErrorCode::TooLarge.into());
    }
    let keys: Vec<_> = participants.iter().map(|it| (&it.tenant, &it.session, &it.device)).collect();
    let stay: BTreeSet<_> = app.storage.taking_part(&keys).await?.into_iter().collect();
    let left = |it: &RelayedOne| !stay.contains(&(it.tenant.clone(), it.session.clone(), it.device.clone()));
    Ok(Json(Gone { gone: participants.into_iter().filter(left).collect() }))
}

async fn orders(app: &App, host: RelayHostId) -> Result<Json<Orders>, Problem> {
    // Before the rows are read: what enters meanwhile is not among them.
    let as_of = app.now();
    let peers = others(&all(app).await?, &host, as_of);
    let keys = app.keys.relay(&host);
    Ok(Json(Orders::new((host, app.relay_realm()), &keys, (peers, as_of))))
}

fn done(any: bool) -> Result<StatusCode, Problem> {
    if any { Ok(StatusCode::NO_CONTENT) } else { Err(ErrorCode::NotFound.into()) }
}

fn shown(host: &RelayHost, hosts: &[RelayHost], now: Timestamp) -> Shown {
    let knows_others = hosts.iter().all(|other| host.knows(other));
    let state = state(host, now);
    let RelayHost { id, built_in, said, seen_at, drain: _, entered_at: _ } = host.clone();
    let Said { region, near, addresses, capacity, held, leaving: _, knows_until: _ } = said;
    let near = near.iter().map(ToString::to_string).collect();
    Shown { host: id, built_in, region, near, addresses, capacity, held, state, knows_others, seen_at }
}

fn state(host: &RelayHost, now: Timestamp) -> Condition {
    if !host.is_alive(now) {
        Condition::Dead
    } else if host.said.leaving {
        Condition::Leaving
    } else if host.drain {
        Condition::Drained
    } else {
        Condition::Alive
    }
}
