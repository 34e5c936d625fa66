//! How a tenant's devices register: when they do it again, what becomes of what another proves, and which numbers are
//! for tests alone (REG-13).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use switchhook_core::{
    registration::{
        elsewhere::ProvenElsewhere,
        test_number::{self, TestNumber},
    },
    tenant::TenantSettings,
};
use switchhook_protocol::{error::ErrorCode, registration::RegisterAgain};
use utoipa::ToSchema;

use super::{OfTenant, schemas};
use crate::{
    app::App,
    http::{
        entity_tag::{EntityTag, IfMatch},
        extract::Body,
        problem::Problem,
    },
    tenants,
};

/// How devices register.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registering {
    /// When they register again without a person.
    #[serde(default)]
    #[schema(value_type = schemas::RegisterAgain)]
    again: RegisterAgain,
    /// What becomes of an identifier on devices that have it, when another device proves it.
    #[serde(default)]
    #[schema(value_type = schemas::ProvenElsewhere)]
    proven_elsewhere: ProvenElsewhere,
    /// Numbers with a fixed code: no text is sent to them. Only such as nobody has.
    #[serde(default)]
    #[schema(value_type = Vec<schemas::TestNumber>)]
    test_numbers: Vec<TestNumber>,
}

impl From<&TenantSettings> for Registering {
    fn from(settings: &TenantSettings) -> Self {
        Self {
            again: settings.register_again,
            proven_elsewhere: settings.proven_elsewhere,
            test_numbers: settings.test_numbers.clone(),
        }
    }
}

/// Shows how devices register.
#[utoipa::path(get, path = "/tenants/{tenant}/registering", operation_id = "show_registering",
    responses((status = OK, body = Registering, description = "What the tenant has set, or the defaults.",
        headers(("ETag" = String, description = "Names these settings.")))))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<impl IntoResponse, Problem> {
    let registering = Registering::from(&tenants::settings(&app, &tenant).await?);
    Ok((EntityTag::of(&registering).header(), Json(registering)))
}

/// Replaces how devices register; clients hear of it when they connect.
#[utoipa::path(put, path = "/tenants/{tenant}/registering", operation_id = "put_registering", params(IfMatch),
    request_body = Registering,
    responses((status = NO_CONTENT, description = "It counts here at once, on other nodes within a second.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    of: OfTenant,
    headers: HeaderMap,
    Body(wanted): Body<Registering>,
) -> Result<StatusCode, Problem> {
    let Registering { again, proven_elsewhere, test_numbers } = wanted;
    test_number::check(&test_numbers)
        .map_err(|wrong| Problem::new(ErrorCode::Malformed, wrong.to_string()))?;
    let numbers: Vec<&str> = test_numbers.iter().map(|test| test.number.reveal()).collect();
    // Nobody's numbers: they may stand in the audit.
    let detail =
        serde_json::json!({ "again": again, "proven_elsewhere": proven_elsewhere, "test_numbers": numbers })
            .to_string();
    let meant = IfMatch::of(&headers);
    let change = move |settings: &mut TenantSettings| {
        meant.check(&EntityTag::of(&Registering::from(&*settings)))?;
        settings.register_again = again;
        settings.proven_elsewhere = proven_elsewhere;
        settings.test_numbers = test_numbers;
        Ok(())
    };
    tenants::change_settings(&app, of, ("registering.put", detail), change).await?;
    Ok(StatusCode::NO_CONTENT)
}
