//! What transits post to the host: a text of a device (REG-2), and what became of a text of the host.
//!
//! `POST /v1/{tenant}/transits/{gateway}/messages` and `…/receipts`, each in the form of the gateway's
//! provider: [`webhook`], [`twilio`]. Nothing is read of a request before it has proven itself.

pub(crate) mod twilio;
mod webhook;

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use switchhook_core::{
    row::{Gateway, Provider},
    seal::Purpose,
};
use switchhook_protocol::{
    error::ErrorCode,
    id::{GatewayId, TenantId},
};

use super::problem::Problem;
use crate::{
    app::App,
    flows::{receipt, text::text},
    tenants,
};

/// A request in a gateway's name, and what it is proven by.
#[derive(Debug)]
struct Posted {
    tenant: TenantId,
    gateway: Gateway,
    /// What the gateway and the host share.
    secret: Vec<u8>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Whose transit.
type Whose = Path<(String, String)>;

/// A transit reports a text.
pub(crate) async fn message(
    State(app): State<Arc<App>>,
    whose: Whose,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let posted = posted(&app, whose, uri, headers, body).await?;
    let (tenant, gateway) = (&posted.tenant, &posted.gateway.id);
    Ok(match posted.gateway.provider {
        Provider::Webhook { .. } => {
            let (report, digest) = webhook::report(&posted, app.now())?;
            let (status, answer) = text(&app, tenant, gateway, &report, digest.into()).await?;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            (status, [(header::CONTENT_TYPE, "application/json")], answer).into_response()
        }
        Provider::Twilio(_) => {
            let (report, digest) = twilio::report(&posted, app.web_url.as_ref())?;
            text(&app, tenant, gateway, &report, digest.into()).await?;
            ([(header::CONTENT_TYPE, "text/xml")], twilio::NOTHING_TO_SAY).into_response()
        }
        Provider::Smpp(_) => return Err(ErrorCode::NotFound.into()),
    })
}

/// A transit tells what became of a text.
pub(crate) async fn receipt(
    State(app): State<Arc<App>>,
    whose: Whose,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let posted = posted(&app, whose, uri, headers, body).await?;
    let receipt = match posted.gateway.provider {
        Provider::Webhook { .. } => webhook::receipt(&posted, app.now())?,
        Provider::Twilio(_) => twilio::receipt(&posted, app.web_url.as_ref())?,
        Provider::Smpp(_) => return Err(ErrorCode::NotFound.into()),
    };
    if let Some((text, delivered)) = receipt {
        let about = receipt::About::Text(&text);
        receipt::receipt(&app, &posted.tenant, &posted.gateway.id, about, delivered).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn posted(
    app: &App,
    Path((tenant, gateway)): Whose,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Posted, Problem> {
    let tenant = tenants::known(app, &tenant).await?;
    let gateway: GatewayId = gateway.parse().or(Err(ErrorCode::NotFound))?;
    let gateway = app.storage.of(&tenant).gateways().get(&gateway).await?.ok_or(ErrorCode::NotFound)?;
    let secret = app.keys.of(&tenant).open_bytes(Purpose::Secret, &gateway.secret);
    let secret = secret.or(Err(ErrorCode::Internal))?;
    let body = body.map_err(|wrong| unread(&wrong))?;
    Ok(Posted { tenant, gateway, secret, uri, headers, body })
}

fn unread(wrong: &BytesRejection) -> Problem {
    match wrong.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge.into(),
        _ => Problem::new(ErrorCode::Malformed, wrong.body_text()),
    }
}

impl Posted {
    /// A header's value; empty if it is not there.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
