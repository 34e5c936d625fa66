//! SMS gateways of a tenant. A secret is shown once, if the host made it; afterwards it is write-only.

mod told;

use std::{fmt::Display, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_core::{
    mint,
    row::{Gateway, Provider},
    seal::Purpose,
    transit::configuration::check_serves,
};
use switchhook_protocol::{
    error::ErrorCode,
    id::{GatewayId, TenantId},
};
use switchhook_storage::StorageError;
use utoipa::ToSchema;

use self::told::Told;
use super::{OfTenant, schemas};
use crate::{
    app::App,
    http::{
        extract::{Body, Path},
        problem::Problem,
    },
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGateway {
    /// The number or short code that devices text to, and that texts come from.
    number: String,
    #[schema(value_type = schemas::Provider)]
    provider: Told,
    /// Beginnings of the numbers that it serves (`+49`, `+49151`); none: all.
    #[serde(default)]
    serves: Vec<String>,
    /// What provider and host share: the generic gateway's secret, Twilio's auth token, an SMSC's password.
    /// Without it, a gateway that is there keeps the one that it has, if address and account stay as they are;
    /// for any other, the host makes a secret for a generic gateway, and the rest need theirs.
    #[serde(default)]
    secret: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gateway)]
pub(crate) struct Shown {
    #[schema(value_type = String)]
    gateway: GatewayId,
    number: String,
    #[schema(value_type = schemas::Provider)]
    provider: Provider,
    serves: Vec<String>,
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
    let gateway: GatewayId = gateway.parse().map_err(|why| malformed(&why))?;
    let NewGateway { number, provider, serves, secret } = new;
    let provider = Provider::from(provider);
    let told = match secret {
        Some(secret) => Some(secret),
        None => present_secret(&app, &tenant, (&gateway, &provider)).await?,
    };
    let makes = told.is_none() && provider.takes_any_secret();
    let made = makes.then(|| mint::nonce(&mut app.rng()));
    let secret = told.or_else(|| made.clone()).ok_or_else(|| malformed(&NO_SECRET))?;
    provider.check(&number, &secret).map_err(|why| malformed(&why))?;
    check_serves(&serves).map_err(|why| malformed(&why))?;
    app.gateway_peers.judge(&provider).map_err(|why| malformed(&why))?;
    if matches!(provider, Provider::Twilio(_)) && app.web_url.is_none() {
        return Err(malformed(&"its webhooks are signed over http.web_url, which the settings do not have"));
    }
    let sealed = app.keys.of(&tenant).seal_bytes(Purpose::Secret, secret.as_bytes(), &mut app.rng());
    let shown = Shown { gateway, number, provider, serves, secret: made };
    let row = Gateway {
        id: shown.gateway.clone(),
        number: shown.number.clone(),
        provider: shown.provider.clone(),
        serves: shown.serves.clone(),
        secret: sealed,
    };
    let now = app.now();
    app.storage
        .of(&tenant)
        .run("gateway-put", async move |tx| {
            tx.put_gateway(&row).await?;
            who.note(tx, ("gateway.put", row.id.as_str()), now).await
        })
        .await?;
    app.smscs.hint();
    Ok(Json(shown))
}

/// Lists the SMS gateways.
#[utoipa::path(get, path = "/tenants/{tenant}/gateways", operation_id = "list_gateways",
    responses((status = OK, body = Vec<Shown>, description = "The gateways, without secrets.")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<Json<Vec<Shown>>, Problem> {
    let shown = |row: Gateway| Shown {
        gateway: row.id,
        number: row.number,
        provider: row.provider,
        serves: row.serves,
        secret: None,
    };
    let rows = app.storage.of(&tenant).gateways().list().await?;
    Ok(Json(rows.into_iter().map(shown).collect()))
}

/// Removes an SMS gateway. Texts that wait for it fail.
#[utoipa::path(delete, path = "/tenants/{tenant}/gateways/{gateway}", operation_id = "remove_gateway",
    responses((status = NO_CONTENT, description = "It is gone.")))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
    Path(Below { gateway }): Path<Below>,
) -> Result<StatusCode, Problem> {
    let gateway: GatewayId = gateway.parse().or(Err(ErrorCode::NotFound))?;
    let now = app.now();
    let removed = app
        .storage
        .of(&tenant)
        .run("gateway-remove", async move |tx| {
            let removed = tx.remove_gateway(&gateway).await?;
            if removed {
                who.note(tx, ("gateway.remove", gateway.as_str()), now).await?;
            }
            Ok::<_, StorageError>(removed)
        })
        .await?;
    app.smscs.hint();
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(ErrorCode::NotFound.into()) }
}

/// The secret of the gateway that is there, if it goes on to where it went before: who sets an address does not
/// learn by it what nobody is shown.
async fn present_secret(
    app: &App,
    tenant: &TenantId,
    (gateway, provider): (&GatewayId, &Provider),
) -> Result<Option<String>, Problem> {
    let present = app.storage.of(tenant).gateways().get(gateway).await?;
    let Some(present) = present.filter(|present| provider.leads_where(&present.provider)) else {
        return Ok(None);
    };
    let secret = app.keys.of(tenant).open_bytes(Purpose::Secret, &present.secret);
    Ok(secret.ok().and_then(|secret| String::from_utf8(secret).ok()))
}

const NO_SECRET: &str = "it needs its secret: a new gateway, a new address and a new account of this kind do";

fn malformed(why: &dyn Display) -> Problem {
    Problem::new(ErrorCode::Malformed, why.to_string())
}
