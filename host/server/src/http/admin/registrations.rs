//! The registration store, for who administers the tenant: which identifiers reach which devices (REG-11).
#![expect(unused_qualifications, reason = "what the macro writes for parameters")]

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_core::row::Registration;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{ApplicationId, DeviceId},
};
use switchhook_storage::{Held, Page};
use utoipa::{IntoParams, ToSchema};

use super::OfTenant;
use crate::{
    app::App,
    flows::registration::association::release,
    http::{
        extract::{Path, Query},
        open::registrations::Shown,
        problem::Problem,
    },
    limits,
};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Of this application alone.
    #[param(value_type = Option<String>)]
    application: Option<ApplicationId>,
    /// Of this identifier alone.
    #[param(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
    /// Of this device alone.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Where the page begins: `next` of the one before.
    after: Option<String>,
    /// How many at most; never more than 500.
    limit: Option<u32>,
}

/// A part of the list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Registrations)]
pub(crate) struct Listed {
    registrations: Vec<Shown>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists who is registered where, in the order of devices, then of identifiers.
#[utoipa::path(get, path = "/tenants/{tenant}/registrations", operation_id = "list_registrations", params(Wanted),
    responses((status = OK, body = Listed, description = "Registrations, page by page.")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed>, Problem> {
    let which = match (wanted.endpoint, wanted.device) {
        (None, None) => Held::All,
        (Some(endpoint), None) => Held::By(endpoint),
        (None, Some(device)) => Held::On(device),
        (Some(_), Some(_)) => return Err(Problem::new(ErrorCode::Malformed, "either endpoint or device")),
    };
    let after = wanted.after.as_deref().map(place).transpose()?;
    let limit = wanted.limit.unwrap_or(limits::PAGE).clamp(1, limits::PAGE);
    let page = Page { application: wanted.application.as_ref(), after: after.as_ref(), limit };
    let found = app.storage.of(&tenant).registrations().held(&which, page).await?;
    let full = u32::try_from(found.len()).is_ok_and(|count| count == limit);
    let next = found.last().filter(|_| full).map(place_of);
    Ok(Json(Listed { registrations: found.into_iter().map(Shown::from).collect(), next }))
}

/// What stands below the tenant in an address.
#[derive(Deserialize)]
pub(crate) struct Below {
    device: DeviceId,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// The identifier.
    #[param(value_type = String)]
    endpoint: EndpointId,
}

/// Takes an identifier off a device.
#[utoipa::path(delete, path = "/tenants/{tenant}/registrations/{device}", operation_id = "revoke_registration_of_device", params(Which),
    responses((status = NO_CONTENT, description = "It reaches the device no more.")))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    OfTenant { tenant, who }: OfTenant,
    Path(Below { device }): Path<Below>,
    Query(Which { endpoint }): Query<Which>,
) -> Result<StatusCode, Problem> {
    let released = release(&app, &tenant, (&device, &endpoint), who.label().to_owned()).await?;
    if released { Ok(StatusCode::NO_CONTENT) } else { Err(ErrorCode::NotFound.into()) }
}

/// A registration's place in the list: a device's id has no space.
fn place_of(registration: &Registration) -> String {
    format!("{} {}", registration.device, registration.endpoint.reveal())
}

fn place(text: &str) -> Result<(DeviceId, EndpointId), Problem> {
    let parts = text
        .split_once(' ')
        .and_then(|(device, endpoint)| Some((device.parse().ok()?, endpoint.parse().ok()?)));
    parts.ok_or_else(|| Problem::new(ErrorCode::Malformed, "`after` is not the `next` of a page"))
}
