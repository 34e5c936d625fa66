//! The plugins of a tenant: what there is, what is uploaded, what changes (PLUG-1).

pub(crate) mod changes;
pub(crate) mod secrets;
pub(crate) mod show;
pub(crate) mod upload;

use axum::http::HeaderMap;
use serde::Deserialize;
use switchhook_core::policy::Slot;
use switchhook_protocol::{error::ErrorCode, id::MethodName};

use super::of_tenant;
use crate::{
    app::App,
    http::problem::Problem,
    plugins::changes::{Changing, Refused},
};

/// Where a plugin stands in an address.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    tenant: String,
    slot: Slot,
    name: String,
}

/// Whoever may change this plugin.
async fn changing(app: &App, headers: &HeaderMap, named: &Named) -> Result<Changing, Problem> {
    let (who, tenant) = of_tenant(app, headers, &named.tenant).await?;
    let wrong = |_| Problem::new(ErrorCode::Malformed, "a plugin's name has 1 to 64 of a-z, 0-9 and '-'");
    let name = named.name.parse::<MethodName>().map_err(wrong)?;
    Ok(Changing { who, tenant, slot: named.slot, name })
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let (code, words) = (refused.code(), refused.to_string());
        if let Refused::Flow(error) = refused {
            error.into()
        } else if let Refused::Report(report) = refused {
            Self::reported(code, report)
        } else {
            Self::new(code, words)
        }
    }
}
