//! Who changed what.
#![expect(unused_qualifications, reason = "what the macro writes for parameters")]

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use switchhook_protocol::time::Timestamp;
use switchhook_storage::AuditEntry;
use utoipa::{IntoParams, ToSchema};

use super::{OfTenant, Operator};
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

impl Page {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(limits::PAGE).min(limits::PAGE)
    }
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
    let found = app.storage.of(&tenant).audit().after(page.after, page.limit()).await?;
    Ok(Json(entries(found, &page)))
}

/// Lists who made the operator's tokens and took them back, page by page.
#[utoipa::path(get, path = "/audit", operation_id = "list_operators_audit",
    params(Page), responses((status = OK, body = Entries, description = "Changes, the oldest first.")))]
pub(crate) async fn operators(
    State(app): State<Arc<App>>,
    Operator(_): Operator,
    Query(page): Query<Page>,
) -> Result<Json<Entries>, Problem> {
    let found = app.storage.operator_audit(page.after, page.limit()).await?;
    Ok(Json(entries(found, &page)))
}

fn entries(found: Vec<(u64, AuditEntry)>, page: &Page) -> Entries {
    let entries: Vec<Shown> = found.into_iter().map(shown).collect();
    let next = entries.last().map_or(page.after, |last| last.position);
    Entries { entries, next }
}

fn shown((position, entry): (u64, AuditEntry)) -> Shown {
    let AuditEntry { at, actor, action, subject, detail } = entry;
    Shown { position, at, actor, action, subject, detail }
}
