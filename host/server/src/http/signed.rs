//! `POST /v1/{tenant}/requests/{op}`: an operation as one request, signed by the device's key (INV-16).
//!
//! Body and answer are those of the socket's request. The signature is one of RFC 9421 ([`headers`]
//! reads it, `core::http_signature` judges it), over a digest of the body (RFC 9530, [`digest`]) and
//! whatever else of the request it covers ([`parts`]).

mod digest;
pub(crate) mod headers;
mod parts;

use std::sync::Arc;

use axum::{
    body::{self, Body, Bytes},
    extract::{Request, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::value::RawValue;
use switchhook_core::subscriber::Subscriber;
use switchhook_protocol::{
    MAX_FRAME,
    call::{InvalidCall, Operation},
    error::ErrorCode,
    id::TenantId,
};
use tokio::time;

use self::parts::Covered;
use super::{extract::Path, problem::Problem};
use crate::{
    app::App,
    authority,
    flows::{Caller, perform::perform, prove::prove},
    limits,
    listen::peer::Peer,
    tenants,
};

/// Performs an operation of a device that has no socket.
///
/// The request is signed by the device's key (RFC 9421). Body and answer are those of the socket's
/// request.
#[utoipa::path(post, path = "/v1/{tenant}/requests/{op}", operation_id = "request",
    request_body = Object,
    responses((status = OK, body = Object, description = "The operation's answer.")))]
pub(crate) async fn request(
    State(app): State<Arc<App>>,
    Path((tenant, op)): Path<(String, String)>,
    peer: Peer,
    request: Request,
) -> Result<Response, Problem> {
    let tenant = tenants::known(&app, &tenant).await?;
    authority::check(&app, &tenant, &peer).await?;
    let from = app.doors.subscriber(peer.ip, request.headers());
    let proven = Box::pin(proven(&app, (&tenant, from), &op, request)).await;
    let (caller, operation) = proven.inspect_err(|problem| app.metrics.refused(problem.code()))?;
    let answer = Box::pin(perform(&app, &caller, operation)).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], String::from(Box::<str>::from(answer))).into_response())
}

/// Who asks, and for what.
async fn proven(
    app: &App,
    whose: (&TenantId, Subscriber),
    op: &str,
    request: Request,
) -> Result<(Caller, Operation), Problem> {
    let (head, body) = request.into_parts();
    let body = read(body).await?;
    let signature = headers::signature(&head.headers)?;
    digest::check(&head.headers, &body)?;
    let covered = Covered::of(&head);
    let caller = prove(app, whose, &signature, |name| covered.part(name)).await?;
    Ok((caller, operation(op, &body)?))
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let read = time::timeout(limits::BODY, body::to_bytes(body, MAX_FRAME)).await;
    let slow = |_| Problem::new(ErrorCode::Malformed, "the body did not come in time");
    read.map_err(slow)?.or(Err(ErrorCode::TooLarge.into()))
}

fn operation(op: &str, body: &[u8]) -> Result<Operation, Problem> {
    let body: &RawValue = serde_json::from_slice(body)
        .map_err(|error| Problem::new(ErrorCode::Malformed, error.to_string()))?;
    Operation::decode(op, body).map_err(|invalid| match invalid {
        InvalidCall::Unsupported => ErrorCode::Unsupported.into(),
        InvalidCall::Malformed(why) => Problem::new(ErrorCode::Malformed, why),
    })
}
