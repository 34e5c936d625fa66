//! Texts in doubt: reported, and sent again only on request (DESIGN §2.8).

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use serde::Serialize;
use switchhook_core::row::{OutboxKind, OutboxState};
use switchhook_protocol::{
    error::ErrorCode,
    id::{AttemptId, GatewayId, MessageId},
    time::Timestamp,
};
use switchhook_storage::StorageError;
use utoipa::ToSchema;

use super::of_tenant;
use crate::{app::App, http::problem::Problem};

/// Most texts of one answer.
const MOST: u32 = 1_000;

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
    Path(tenant): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Vec<Shown>>, Problem> {
    let (_, tenant) = of_tenant(&app, &headers, &tenant).await?;
    let entries = app.storage.outbox().in_state(OutboxKind::Text, OutboxState::InDoubt, MOST).await?;
    let own = entries.into_iter().filter(|(whose, _)| *whose == tenant);
    let shown = own.map(|(_, entry)| Shown {
        text: entry.id,
        attempt: entry.attempt,
        gateway: entry.gateway,
        queued_at: entry.queued_at,
    });
    Ok(Json(shown.collect()))
}

/// Sends a text in doubt again.
#[utoipa::path(post, path = "/tenants/{tenant}/texts/{text}/resend", operation_id = "resend_text",
    responses((status = ACCEPTED, description = "It is on its way.")))]
pub(crate) async fn resend(
    State(app): State<Arc<App>>,
    Path((tenant, text)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let (who, tenant) = of_tenant(&app, &headers, &tenant).await?;
    let id: MessageId = text.parse().or(Err(ErrorCode::NotFound))?;
    let now = app.now();
    let moved = app
        .storage
        .of(&tenant)
        .run("text-resend", async move |tx| {
            let moved = tx.move_outbox(&id, OutboxState::InDoubt, OutboxState::Queued).await?;
            if moved {
                who.note(tx, ("text.resend", id.as_str()), now).await?;
            }
            Ok::<_, StorageError>(moved)
        })
        .await?;
    if !moved {
        return Err(ErrorCode::NotFound.into());
    }
    app.outbox.hint();
    Ok(StatusCode::ACCEPTED)
}
