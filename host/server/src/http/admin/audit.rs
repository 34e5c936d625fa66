//! Who changed what.
#![expect(unused_qualifications, reason = "what the macro writes for parameters")]

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use switchhook_protocol::time::Timestamp;
use switchhook_storage::AuditEntry;
use utoipa::{IntoParams, ToSchema};

use super::OfTenant;
use crate::{
    app::App,
    http::{extract::Query, problem::Problem},
    limits,
};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Audit)]
pub(crate) struct Entries {
    entries: Vec<Shown>,
    /// Where the next page begins.
    next: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct Shown {
    position: u64,
    #[schema(value_type = u64)]
    at: Timestamp,
    actor: String,
    action: String,
    subject: String,
    detail: String,
}

/// Lists who changed what, page by page.
#[utoipa::path(get, path = "/tenants/{tenant}/audit", operation_id = "list_audit",
    params(Page), responses((status = OK, body = Entries, description = "Changes, the oldest first.")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
    Query(page): Query<Page>,
) -> Result<Json<Entries>, Problem> {
    let limit = page.limit.unwrap_or(limits::PAGE).min(limits::PAGE);
    let entries = app.storage.of(&tenant).audit().after(page.after, limit).await?;
    let entries: Vec<Shown> = entries.into_iter().map(shown).collect();
    let next = entries.last().map_or(page.after, |last| last.position);
    Ok(Json(Entries { entries, next }))
}

fn shown((position, entry): (u64, AuditEntry)) -> Shown {
    let AuditEntry { at, actor, action, subject, detail } = entry;
    Shown { position, at, actor, action, subject, detail }
}
