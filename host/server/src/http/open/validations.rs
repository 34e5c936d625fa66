//! Validation of mail addresses as a service of its own: an application asks, and looks up what came of it (REG-18).
//!
//! The application names each validation, so that a request may be repeated: the mail goes out once. The token comes
//! back through the mail's link, or through `POST /v1/{tenant}/links` by a program that reads the address's mail.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_core::row::{Progress, Validation};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{ApplicationId, ValidationId},
    time::Timestamp,
};
use utoipa::ToSchema;

use super::Registrar;
use crate::{
    app::App,
    flows::registration::validation,
    http::{
        extract::{Body, Path},
        problem::Problem,
    },
};

/// Which validation.
#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    application: ApplicationId,
    validation: ValidationId,
}

/// What is to be validated.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewValidation)]
pub(crate) struct New {
    /// A mail address.
    #[schema(value_type = String)]
    address: EndpointId,
}

/// A validation of a mail address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Validation)]
pub(crate) struct Shown {
    #[schema(value_type = String)]
    application: ApplicationId,
    /// The application's own name for it.
    #[schema(value_type = String)]
    validation: ValidationId,
    #[schema(value_type = String)]
    address: EndpointId,
    state: Outcome,
    /// When it was asked for, in milliseconds since 1970.
    #[schema(value_type = u64)]
    asked_at: Timestamp,
    /// Until when the token counts.
    #[schema(value_type = u64)]
    expires_at: Timestamp,
    /// When the token came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    validated_at: Option<Timestamp>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ValidationState)]
enum Outcome {
    /// The mail was or will be sent; its token has not come back.
    Waiting,
    /// Its token came back: whoever brought it reads the address's mail.
    Validated,
    /// Its token did not come back in time.
    Expired,
}

/// Has an address validated: a mail with a link goes to it, once, however often the same is asked.
#[utoipa::path(put, path = "/v1/{tenant}/applications/{application}/validations/{validation}", operation_id = "begin_validation",
    request_body = New, responses((status = CREATED, body = Shown, description = "It has begun."),
    (status = OK, body = Shown, description = "It was begun before.")))]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    registrar: Registrar,
    Path(Which { application, validation }): Path<Which>,
    Body(New { address }): Body<New>,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    registrar.asks_for(&app, &application)?;
    let which = (application, validation);
    let (validation, new) = validation::begin(&app, &registrar.tenant, which, address).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Shown::of(validation, app.now()))))
}

/// Says what came of it; until a week after its end.
#[utoipa::path(get, path = "/v1/{tenant}/applications/{application}/validations/{validation}", operation_id = "show_validation",
    responses((status = OK, body = Shown, description = "What came of it.")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    registrar: Registrar,
    Path(Which { application, validation }): Path<Which>,
) -> Result<Json<Shown>, Problem> {
    registrar.asks_for(&app, &application)?;
    let found = app.storage.of(&registrar.tenant).validation(&application, &validation).await?;
    Ok(Json(Shown::of(found.ok_or(ErrorCode::NotFound)?, app.now())))
}

impl Shown {
    pub(crate) fn of(validation: Validation, now: Timestamp) -> Self {
        let state = match validation.progress(now) {
            Progress::Waiting => Outcome::Waiting,
            Progress::Validated => Outcome::Validated,
            Progress::Expired => Outcome::Expired,
        };
        let Validation { application, id, address, asked_at, expires_at, validated_at, .. } = validation;
        Self { application, validation: id, address, state, asked_at, expires_at, validated_at }
    }
}
