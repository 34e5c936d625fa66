//! SMS gateways of a tenant. A secret is shown once, when it is made; afterwards it is write-only.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use switchhook_core::{mint, row::Gateway, seal::Purpose};
use switchhook_protocol::{error::ErrorCode, id::GatewayId};
use utoipa::ToSchema;

use super::OfTenant;
use crate::{
    app::App,
    http::{
        extract::{Body, Path},
        problem::Problem,
    },
};

/// Longest number, address or secret, in bytes.
const MAX: usize = 512;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGateway {
    /// The number or short code that devices text to.
    number: String,
    /// Where the host asks it to send a text.
    send_url: String,
    /// The shared secret; without it, one is made.
    #[serde(default)]
    secret: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gateway)]
pub(crate) struct Shown {
    #[schema(value_type = String)]
    gateway: GatewayId,
    number: String,
    send_url: String,
    /// Only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// What stands below the tenant in an address.
#[derive(Deserialize)]
pub(crate) struct Below {
    gateway: String,
}

/// Makes or replaces an SMS gateway.
#[utoipa::path(put, path = "/tenants/{tenant}/gateways/{gateway}", operation_id = "put_gateway",
    request_body = NewGateway, responses((status = OK, body = Shown, description = "The gateway; its secret if one was made.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
    Path(Below { gateway }): Path<Below>,
    Body(new): Body<NewGateway>,
) -> Result<Json<Shown>, Problem> {
    let id: GatewayId =
        gateway.parse().map_err(|wrong| Problem::new(ErrorCode::Malformed, format!("{wrong}")))?;
    check(&new)?;
    let made = new.secret.is_none().then(|| mint::nonce(&mut app.rng()));
    let secret = new.secret.or_else(|| made.clone()).unwrap_or_default();
    let row = Gateway {
        id: id.clone(),
        number: new.number.clone(),
        send_url: new.send_url.clone(),
        secret: app.keys.of(&tenant).seal_bytes(Purpose::Secret, secret.as_bytes(), &mut app.rng()),
    };
    let now = app.now();
    app.storage
        .of(&tenant)
        .run("gateway-put", async move |tx| {
            tx.put_gateway(&row).await?;
            who.note(tx, ("gateway.put", row.id.as_str()), now).await
        })
        .await?;
    Ok(Json(Shown { gateway: id, number: new.number, send_url: new.send_url, secret: made }))
}

/// Lists the SMS gateways.
#[utoipa::path(get, path = "/tenants/{tenant}/gateways", operation_id = "list_gateways",
    responses((status = OK, body = Vec<Shown>, description = "The gateways, without secrets.")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<Json<Vec<Shown>>, Problem> {
    let shown =
        |row: Gateway| Shown { gateway: row.id, number: row.number, send_url: row.send_url, secret: None };
    let rows = app.storage.of(&tenant).gateways().list().await?;
    Ok(Json(rows.into_iter().map(shown).collect()))
}

fn check(new: &NewGateway) -> Result<(), Problem> {
    let secret = new.secret.as_deref();
    if [&new.number, &new.send_url].iter().any(|text| text.is_empty() || text.len() > MAX) {
        return Err(Problem::new(ErrorCode::Malformed, "number and send_url have 1 to 512 bytes"));
    }
    if secret.is_some_and(|secret| !(32..=MAX).contains(&secret.len())) {
        return Err(Problem::new(ErrorCode::Malformed, "a secret has 32 to 512 bytes"));
    }
    let web = ["http://", "https://"].iter().any(|scheme| new.send_url.starts_with(scheme));
    if web { Ok(()) } else { Err(Problem::new(ErrorCode::Malformed, "send_url is http:// or https://")) }
}
