//! Texts in doubt: reported, and sent again only on request (DESIGN §2.8).

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_core::row::OutboxKind;
use switchhook_protocol::{
    id::{AttemptId, GatewayId, MessageId},
    time::Timestamp,
};
use utoipa::ToSchema;

use super::{OfTenant, doubt};
use crate::{
    app::App,
    http::{extract::Path, problem::Problem},
};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TextInDoubt)]
pub(crate) struct Shown {
    #[schema(value_type = String)]
    text: MessageId,
    #[schema(value_type = String)]
    attempt: AttemptId,
    #[schema(value_type = Option<String>)]
    gateway: Option<GatewayId>,
    #[schema(value_type = u64)]
    queued_at: Timestamp,
}

/// Lists the texts of which nobody knows whether they were sent.
#[utoipa::path(get, path = "/tenants/{tenant}/texts/in-doubt", operation_id = "list_texts_in_doubt",
    responses((status = OK, body = Vec<Shown>, description = "The texts in doubt.")))]
pub(crate) async fn in_doubt(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<Json<Vec<Shown>>, Problem> {
    let entries = doubt::list(&app, &tenant, OutboxKind::Text).await?;
    let shown = entries.map(|entry| Shown {
        text: entry.id,
        attempt: entry.attempt,
        gateway: entry.gateway,
        queued_at: entry.queued_at,
    });
    Ok(Json(shown.collect()))
}

/// What stands below the tenant in an address.
#[derive(Deserialize)]
pub(crate) struct Below {
    text: String,
}

/// Sends a text in doubt again.
#[utoipa::path(post, path = "/tenants/{tenant}/texts/{text}/resend", operation_id = "resend_text",
    responses((status = ACCEPTED, description = "It is on its way.")))]
pub(crate) async fn resend(
    State(app): State<Arc<App>>,
    of: OfTenant,
    Path(Below { text }): Path<Below>,
) -> Result<StatusCode, Problem> {
    doubt::resend(&app, of, (OutboxKind::Text, "text.resend"), &text).await
}
