//! `POST /v1/{tenant}/transits/{gateway}/messages`: a transit reports a text (REG-2).

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use switchhook_core::transit::SIGNATURE_HEADER;
use switchhook_protocol::{error::ErrorCode, id::GatewayId};

use super::problem::Problem;
use crate::{
    app::App,
    flows::text::{Signed, text},
    tenants,
};

pub(crate) async fn message(
    State(app): State<Arc<App>>,
    Path((tenant, gateway)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let tenant = tenants::known(&app, &tenant).await?;
    let gateway: GatewayId = gateway.parse().or(Err(ErrorCode::NotFound))?;
    let signature = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
    let signature = signature.ok_or(ErrorCode::BadSignature)?;
    let body = body.map_err(|wrong| unread(&wrong))?;
    let answered = text(&app, &tenant, &gateway, Signed { body: &body, signature }).await;
    let (status, answer) = answered?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    Ok((status, [(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

fn unread(wrong: &BytesRejection) -> Problem {
    match wrong.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge.into(),
        _ => Problem::new(ErrorCode::Malformed, wrong.body_text()),
    }
}
