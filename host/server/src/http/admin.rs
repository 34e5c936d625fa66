//! Administration: bearer tokens, scoped to a tenant or the operator's; every change is audited.

mod audit;
mod gateways;
pub(crate) mod openapi;
mod plugins;
pub(crate) mod routes;
pub(crate) mod schemas;
mod sessions;
mod tenants;
mod texts;
mod tokens;

use axum::http::{HeaderMap, header};
use switchhook_protocol::{error::ErrorCode, id::TenantId, time::Timestamp};
use switchhook_storage::{AdminToken, AuditEntry, StorageError, Transaction};

use super::problem::Problem;
use crate::{app::App, secrets};

/// Who administers.
#[derive(Debug, Clone)]
pub(crate) struct Administrator {
    label: String,
}

/// The operator: may administer everything.
pub(crate) async fn operator(app: &App, headers: &HeaderMap) -> Result<Administrator, Problem> {
    let token = bearer(app, headers).await?;
    if token.tenant.is_some() {
        return Err(ErrorCode::Forbidden.into());
    }
    Ok(Administrator { label: token.label })
}

/// Whoever may administer this tenant, and the tenant.
pub(crate) async fn of_tenant(
    app: &App,
    headers: &HeaderMap,
    tenant: &str,
) -> Result<(Administrator, TenantId), Problem> {
    let token = bearer(app, headers).await?;
    let tenant: TenantId = tenant.parse().or(Err(ErrorCode::UnknownTenant))?;
    if token.tenant.as_ref().is_some_and(|own| *own != tenant) {
        return Err(ErrorCode::Forbidden.into());
    }
    if !app.storage.tenants().exists(&tenant).await? {
        return Err(ErrorCode::UnknownTenant.into());
    }
    Ok((Administrator { label: token.label }, tenant))
}

impl Administrator {
    /// The label of its token.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Notes a change in the transaction that makes it.
    pub(crate) async fn note(
        &self,
        tx: &mut Transaction<'_>,
        change: (&str, &str),
        at: Timestamp,
    ) -> Result<(), StorageError> {
        self.note_detail(tx, change, String::new(), at).await
    }

    /// The same with more about it.
    pub(crate) async fn note_detail(
        &self,
        tx: &mut Transaction<'_>,
        (action, subject): (&str, &str),
        detail: String,
        at: Timestamp,
    ) -> Result<(), StorageError> {
        let (actor, action, subject) = (self.label.clone(), action.to_owned(), subject.to_owned());
        tx.audit(&AuditEntry { at, actor, action, subject, detail }).await
    }
}

async fn bearer(app: &App, headers: &HeaderMap) -> Result<AdminToken, Problem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(ErrorCode::Unauthorized)?;
    let stored = app.storage.admin_tokens().get(&secrets::hash(token.trim())).await?;
    let counts = |token: &AdminToken| {
        token.revoked_at.is_none() && token.expires_at.is_none_or(|until| app.now() < until)
    };
    stored.filter(counts).ok_or_else(|| ErrorCode::Unauthorized.into())
}
