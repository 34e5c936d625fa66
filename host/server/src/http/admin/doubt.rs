//! What is sent at most once, and of which nobody knows whether it was: listed, and sent again on request.

use axum::http::StatusCode;
use switchhook_core::row::{OutboxEntry, OutboxKind, OutboxState};
use switchhook_protocol::{
    error::ErrorCode,
    id::{MessageId, TenantId},
};
use switchhook_storage::StorageError;

use super::OfTenant;
use crate::{app::App, http::problem::Problem};

/// Most entries of one answer.
const MOST: u32 = 1_000;

/// A tenant's entries of this kind, the oldest first.
pub(super) async fn list(
    app: &App,
    tenant: &TenantId,
    kind: OutboxKind,
) -> Result<impl Iterator<Item = OutboxEntry>, Problem> {
    Ok(app.storage.of(tenant).in_doubt(kind, MOST).await?.into_iter())
}

/// Queues an entry of this kind again, and notes it as this action.
pub(super) async fn resend(
    app: &App,
    OfTenant { who, tenant }: OfTenant,
    (kind, action): (OutboxKind, &'static str),
    id: &str,
) -> Result<StatusCode, Problem> {
    let id: MessageId = id.parse().or(Err(ErrorCode::NotFound))?;
    let storage = app.storage.of(&tenant);
    let entry = storage.outbox_entry(&id).await?;
    entry.filter(|entry| entry.kind == kind).ok_or(ErrorCode::NotFound)?;
    let now = app.now();
    let moved = storage
        .run("outbox-resend", async move |tx| {
            let moved = tx.move_outbox(&id, &[OutboxState::InDoubt], OutboxState::Queued).await?;
            if moved {
                who.note(tx, (action, id.as_str()), now).await?;
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
