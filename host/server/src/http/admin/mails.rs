//! Mails in doubt: reported, and sent again only on request (DESIGN §2.8).

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_core::row::OutboxKind;
use switchhook_protocol::{
    id::{AttemptId, MessageId},
    time::Timestamp,
};
use utoipa::ToSchema;

use super::{OfTenant, doubt};
use crate::{
    app::App,
    http::{extract::Path, problem::Problem},
};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailInDoubt)]
pub(crate) struct Shown {
    #[schema(value_type = String)]
    mail: MessageId,
    #[schema(value_type = String)]
    attempt: AttemptId,
    #[schema(value_type = u64)]
    queued_at: Timestamp,
}

/// Lists the mails of which nobody knows whether they were sent.
#[utoipa::path(get, path = "/tenants/{tenant}/mails/in-doubt", operation_id = "list_mails_in_doubt",
    responses((status = OK, body = Vec<Shown>, description = "The mails in doubt.")))]
pub(crate) async fn in_doubt(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<Json<Vec<Shown>>, Problem> {
    let entries = doubt::list(&app, &tenant, OutboxKind::Mail).await?;
    let shown =
        entries.map(|entry| Shown { mail: entry.id, attempt: entry.attempt, queued_at: entry.queued_at });
    Ok(Json(shown.collect()))
}

/// What stands below the tenant in an address.
#[derive(Deserialize)]
pub(crate) struct Below {
    mail: String,
}

/// Sends a mail in doubt again.
#[utoipa::path(post, path = "/tenants/{tenant}/mails/{mail}/resend", operation_id = "resend_mail",
    responses((status = ACCEPTED, description = "It is on its way.")))]
pub(crate) async fn resend(
    State(app): State<Arc<App>>,
    of: OfTenant,
    Path(Below { mail }): Path<Below>,
) -> Result<StatusCode, Problem> {
    doubt::resend(&app, of, (OutboxKind::Mail, "mail.resend"), &mail).await
}
