//! The carrier bundle of a tenant (REG-15). Clients read it at `/v1/{tenant}/carriers`.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use switchhook_protocol::{
    carrier::{Carrier, CarrierBundle},
    error::ErrorCode,
};
use switchhook_storage::StorageError;
use utoipa::ToSchema;

use super::{OfTenant, schemas};
use crate::{
    app::App,
    http::{extract::Body, problem::Problem},
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCarriers {
    #[schema(value_type = Vec<schemas::Carrier>)]
    carriers: Vec<Told>,
}

/// An entry as an administrator writes it: a word that nobody knows is a mistake, and no entry for every SIM. What is
/// stored is read without that strictness, since another version of the server may have stored more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    #[serde(default)]
    mcc: Option<String>,
    #[serde(default)]
    mnc: Option<String>,
    #[serde(default)]
    country: Option<String>,
    number: String,
}

impl From<Told> for Carrier {
    fn from(Told { mcc, mnc, country, number }: Told) -> Self {
        Self { mcc, mnc, country, number }
    }
}

/// Sets the carrier bundle; its version is one more.
#[utoipa::path(put, path = "/tenants/{tenant}/carriers", operation_id = "put_carriers",
    request_body = NewCarriers,
    responses((status = OK, body = schemas::CarrierBundle, description = "The bundle as clients get it.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
    Body(NewCarriers { carriers }): Body<NewCarriers>,
) -> Result<Json<CarrierBundle>, Problem> {
    let carriers = carriers.into_iter().map(Carrier::from).collect();
    let bundle = CarrierBundle { version: 0, carriers };
    bundle.check().map_err(|why| Problem::new(ErrorCode::Malformed, why.to_string()))?;
    let now = app.now();
    let stored = app
        .storage
        .of(&tenant)
        .run("carriers", async move |tx| {
            let stored = tx.put_carriers(&bundle.carriers).await?;
            who.note(tx, ("carriers.put", &stored.version.to_string()), now).await?;
            Ok::<_, StorageError>(stored)
        })
        .await?;
    Ok(Json(stored))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reg_15_what_is_stored_can_be_told_and_a_word_that_nobody_knows_is_refused() {
        let known = |code: &str| Some(code.to_owned());
        let number = "70470".to_owned();
        let stored = Carrier { mcc: known("262"), mnc: known("02"), country: known("DE"), number };
        let mut written = serde_json::to_value(&stored).unwrap();
        let told: Told = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(Carrier::from(told), stored);

        written["of_a_later_version"] = json!(true);
        serde_json::from_value::<Told>(written.clone()).unwrap_err();
        assert_eq!(serde_json::from_value::<Carrier>(written).unwrap(), stored);
    }
}
