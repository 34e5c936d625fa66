//! What became of a session: its invitations and legs, and what plugins decided about it.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use switchhook_core::{
    explain::is_silent,
    row::{Invitation, InvitationState, Leg, LegState, Participant},
};
use switchhook_protocol::{
    error::ErrorCode,
    id::{DeviceId, SessionId},
    time::Timestamp,
};
use utoipa::ToSchema;

use super::OfTenant;
use crate::{
    app::App,
    decisions::DecisionRecord,
    http::{
        extract::{Path, Query},
        problem::Problem,
    },
};

/// A session as its tenant sees it; identifiers masked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct Shown {
    #[schema(value_type = String)]
    session: SessionId,
    purpose: String,
    #[schema(value_type = String)]
    inviter: DeviceId,
    #[schema(value_type = u64)]
    created_at: Timestamp,
    invitations: Vec<ShownInvitation>,
    legs: Vec<ShownLeg>,
    /// Who takes part while it runs.
    participants: Vec<ShownParticipant>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
struct ShownInvitation {
    user: u16,
    endpoint: String,
    #[schema(value_type = String)]
    state: InvitationState,
    #[schema(value_type = Option<String>)]
    taken_by: Option<DeviceId>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Leg)]
struct ShownLeg {
    user: u16,
    #[schema(value_type = String)]
    device: DeviceId,
    #[schema(value_type = String)]
    state: LegState,
    #[schema(value_type = u64)]
    lease_until: Timestamp,
    #[schema(value_type = u64)]
    changed_at: Timestamp,
    /// Proof of silence: the stop is confirmed, or the lease is over.
    silent: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Participant)]
struct ShownParticipant {
    #[schema(value_type = String)]
    device: DeviceId,
    endpoint: String,
    /// Position among the invited; none for the inviter.
    user: Option<u16>,
    #[schema(value_type = u64)]
    joined_at: Timestamp,
    /// When a node last knew the device alive.
    #[schema(value_type = u64)]
    seen_at: Timestamp,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct About {
    /// A session or an attempt.
    subject: Option<String>,
}

/// What stands below the tenant in an address.
#[derive(Deserialize)]
pub(crate) struct Below {
    session: String,
}

/// Shows what became of a session.
#[utoipa::path(get, path = "/tenants/{tenant}/sessions/{session}", operation_id = "show_session",
    responses((status = OK, body = Shown, description = "The session; identifiers masked.")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
    Path(Below { session }): Path<Below>,
) -> Result<Json<Shown>, Problem> {
    let id: SessionId = session.parse().or(Err(ErrorCode::NotFound))?;
    let storage = app.storage.of(&tenant);
    let session = storage.sessions().get(&id).await?.ok_or(ErrorCode::NotFound)?;
    let invitations = storage.sessions().invitations(&id).await?;
    let legs = storage.sessions().legs(&id).await?;
    let participants = storage.sessions().participants(&id).await?;
    let now = app.now();
    Ok(Json(Shown {
        session: session.id,
        purpose: session.purpose,
        inviter: session.inviter,
        created_at: session.created_at,
        invitations: invitations.into_iter().map(invitation).collect(),
        legs: legs.into_iter().map(|row| leg(row, now)).collect(),
        participants: participants.into_iter().map(participant).collect(),
    }))
}

/// Lists what plugins decided lately, about one session or attempt or all.
#[utoipa::path(get, path = "/tenants/{tenant}/decisions", operation_id = "list_decisions", params(About),
    responses((status = OK, body = Vec<DecisionRecord>, description = "The decisions, oldest first.")))]
pub(crate) async fn decisions(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
    Query(about): Query<About>,
) -> Result<Json<Vec<DecisionRecord>>, Problem> {
    Ok(Json(app.decisions.of(&tenant, about.subject.as_deref())))
}

fn invitation(row: Invitation) -> ShownInvitation {
    let endpoint = row.endpoint.to_string();
    ShownInvitation { user: row.user, endpoint, state: row.state, taken_by: row.taken_by }
}

fn participant(row: Participant) -> ShownParticipant {
    let Participant { device, endpoint, user, joined_at, seen_at, .. } = row;
    ShownParticipant { device, endpoint: endpoint.to_string(), user, joined_at, seen_at }
}

fn leg(row: Leg, now: Timestamp) -> ShownLeg {
    ShownLeg {
        silent: is_silent(&row, now),
        user: row.user,
        device: row.device,
        state: row.state,
        lease_until: row.lease_until,
        changed_at: row.changed_at,
    }
}
