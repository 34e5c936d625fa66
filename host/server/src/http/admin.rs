//! Administration: bearer tokens, scoped to a tenant or the operator's; every change is audited.

mod audit;
mod carriers;
mod client_authority;
mod doubt;
mod explain;
mod gateways;
mod limits;
mod mail_server;
mod mails;
mod may_ring;
pub(crate) mod openapi;
mod person;
mod plugins;
mod registering;
mod registrations;
mod relay_hosts;
pub(crate) mod routes;
pub(crate) mod schemas;
mod sessions;
mod tenants;
mod text_policy;
mod texts;
mod tokens;
mod users;

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use serde::Deserialize;
use switchhook_protocol::{
    error::ErrorCode,
    id::{RelayHostId, TenantId},
    time::Timestamp,
};
use switchhook_storage::{AdminToken, AuditEntry, StorageError, Transaction};

use super::{extract::Path, problem::Problem};
use crate::{app::App, secrets};

/// Who administers.
#[derive(Debug, Clone)]
pub(crate) struct Administrator {
    label: String,
}

/// The operator: may administer everything.
#[derive(Debug)]
pub(crate) struct Operator(pub(crate) Administrator);

/// A relay host that says where it is; it may do nothing else.
#[derive(Debug)]
pub(crate) struct OfRelayHost(pub(crate) RelayHostId);

/// The tenant in the address, and whoever may administer it.
#[derive(Debug)]
pub(crate) struct OfTenant {
    pub(crate) who: Administrator,
    pub(crate) tenant: TenantId,
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = administers(app, &parts.headers).await?;
        if token.tenant.is_some() {
            return Err(ErrorCode::Forbidden.into());
        }
        Ok(Self(Administrator { label: token.label }))
    }
}

impl FromRequestParts<Arc<App>> for OfRelayHost {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = any_bearer(app, &parts.headers).await?;
        token.relay_host.map(Self).ok_or_else(|| ErrorCode::Forbidden.into())
    }
}

#[derive(Deserialize)]
struct Named {
    tenant: String,
}

impl FromRequestParts<Arc<App>> for OfTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Path(Named { tenant }) = Path::from_request_parts(parts, app).await?;
        may_administer(app, &parts.headers, &tenant).await
    }
}

async fn may_administer(app: &App, headers: &HeaderMap, tenant: &str) -> Result<OfTenant, Problem> {
    let token = administers(app, headers).await?;
    let tenant: TenantId = tenant.parse().or(Err(ErrorCode::UnknownTenant))?;
    if token.tenant.as_ref().is_some_and(|own| *own != tenant) {
        return Err(ErrorCode::Forbidden.into());
    }
    if !app.storage.tenants().exists(&tenant).await? {
        return Err(ErrorCode::UnknownTenant.into());
    }
    Ok(OfTenant { who: Administrator { label: token.label }, tenant })
}

impl Administrator {
    /// The label of its token.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The note of a change that it makes.
    pub(crate) fn entry(&self, (action, subject): (&str, &str), detail: String, at: Timestamp) -> AuditEntry {
        AuditEntry {
            at,
            actor: self.label.clone(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail,
        }
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
        change: (&str, &str),
        detail: String,
        at: Timestamp,
    ) -> Result<(), StorageError> {
        tx.audit(&self.entry(change, detail, at)).await
    }
}

/// A token that administers: those of applications do not.
async fn administers(app: &App, headers: &HeaderMap) -> Result<AdminToken, Problem> {
    let token = bearer(app, headers).await?;
    if token.application.is_none() { Ok(token) } else { Err(ErrorCode::Forbidden.into()) }
}

/// The token of a request, if it counts. A relay host's is for [`OfRelayHost`] alone.
pub(super) async fn bearer(app: &App, headers: &HeaderMap) -> Result<AdminToken, Problem> {
    let token = any_bearer(app, headers).await?;
    if token.relay_host.is_none() { Ok(token) } else { Err(ErrorCode::Forbidden.into()) }
}

async fn any_bearer(app: &App, headers: &HeaderMap) -> Result<AdminToken, Problem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(ErrorCode::Unauthorized)?;
    let stored = app.storage.admin_tokens().get(&secrets::hash(token.trim())).await?;
    let counts = |token: &AdminToken| {
        token.revoked_at.is_none() && token.expires_at.is_none_or(|until| app.now() < until)
    };
    stored.filter(counts).ok_or_else(|| ErrorCode::Unauthorized.into())
}
