//! An application registers identifiers for devices that it knows, without a method of the tenant's (REG-12, REG-16).
//!
//! Identifiers and push tokens stand in bodies, never in addresses, which others log.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_core::row::Registration;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{ApplicationId, DeviceId, MethodName, PushToken},
    time::Timestamp,
};
use switchhook_storage::{Held, Page};
use utoipa::ToSchema;

use super::Registrar;
use crate::{
    app::App,
    flows::registration::{association::release, direct},
    http::{extract::Body, problem::Problem},
    limits,
};

/// An identifier and the device that it is to reach.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Both {
    /// For which application.
    #[schema(value_type = String)]
    application: ApplicationId,
    /// What the person is reached by: a number (E.164), an e-mail address or a name of the tenant's.
    #[schema(value_type = String)]
    endpoint: EndpointId,
    /// The present push token of the device.
    #[schema(value_type = String)]
    push_token: PushToken,
}

/// Which registrations: those of an identifier, or those of a device.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Sought {
    /// Of which application.
    #[schema(value_type = String)]
    application: ApplicationId,
    /// Those of this identifier.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
    /// Those of the device with this push token.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    push_token: Option<PushToken>,
}

/// An identifier of a device.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Registration)]
pub(crate) struct Shown {
    #[schema(value_type = String)]
    endpoint: EndpointId,
    #[schema(value_type = String)]
    device: DeviceId,
    #[schema(value_type = String)]
    application: ApplicationId,
    /// How it was proven; `direct`: an application said so.
    #[schema(value_type = String)]
    method: MethodName,
    /// When it was last proven, in milliseconds since 1970.
    #[schema(value_type = u64)]
    registered_at: Timestamp,
}

/// Registrations, in the order of devices, then of identifiers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Found {
    registrations: Vec<Shown>,
}

/// Registers an identifier for a device; whoever asks has proven both.
#[utoipa::path(post, path = "/v1/{tenant}/registrations", operation_id = "register", request_body = Both,
    responses((status = CREATED, body = Shown, description = "It reaches the device.")))]
pub(crate) async fn register(
    State(app): State<Arc<App>>,
    registrar: Registrar,
    Body(both): Body<Both>,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    registrar.asks_for(&app, &both.application)?;
    let Both { application, endpoint, push_token } = both;
    let asked = (application, endpoint, &push_token);
    let registration = direct::register(&app, &registrar.tenant, registrar.label, asked).await?;
    Ok((StatusCode::CREATED, Json(registration.into())))
}

/// Finds the devices of an identifier, or the identifiers of a device.
#[utoipa::path(post, path = "/v1/{tenant}/registrations/find", operation_id = "find_registrations", request_body = Sought,
    responses((status = OK, body = Found, description = "What is registered.")))]
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    registrar: Registrar,
    Body(sought): Body<Sought>,
) -> Result<Json<Found>, Problem> {
    registrar.asks_for(&app, &sought.application)?;
    let which = match (sought.endpoint, sought.push_token) {
        (Some(endpoint), None) => Held::By(endpoint),
        (None, Some(token)) => {
            Held::On(direct::device_of(&app, &registrar.tenant, &sought.application, &token).await?)
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Problem::new(ErrorCode::Malformed, "either endpoint or push_token"));
        }
    };
    let page = Page { application: Some(&sought.application), after: None, limit: limits::PAGE };
    let found = app.storage.of(&registrar.tenant).registrations().held(&which, page).await?;
    Ok(Json(Found { registrations: found.into_iter().map(Shown::from).collect() }))
}

/// Takes an identifier off a device.
#[utoipa::path(post, path = "/v1/{tenant}/registrations/revoke", operation_id = "revoke_registration", request_body = Both,
    responses((status = NO_CONTENT, description = "It reaches the device no more.")))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    registrar: Registrar,
    Body(both): Body<Both>,
) -> Result<StatusCode, Problem> {
    registrar.asks_for(&app, &both.application)?;
    let device = direct::device_of(&app, &registrar.tenant, &both.application, &both.push_token).await?;
    let released = release(&app, &registrar.tenant, (&device, &both.endpoint), registrar.label).await?;
    if released { Ok(StatusCode::NO_CONTENT) } else { Err(ErrorCode::NotFound.into()) }
}

impl From<Registration> for Shown {
    fn from(registration: Registration) -> Self {
        let Registration { application, endpoint, device, method, registered_at } = registration;
        Self { endpoint, device, application, method, registered_at }
    }
}
