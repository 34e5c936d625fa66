//! The plugins of a tenant: what there is, what is uploaded, what changes (PLUG-1).

pub(crate) mod built_in;
pub(crate) mod changes;
pub(crate) mod secrets;
pub(crate) mod show;
pub(crate) mod upload;

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::Deserialize;
use switchhook_core::policy::Slot;
use switchhook_protocol::{error::ErrorCode, id::MethodName};

use super::OfTenant;
use crate::{
    app::App,
    http::{extract::Path, problem::Problem},
    plugins::changes::{Changing, Refused},
};

/// Where a plugin stands in an address.
#[derive(Deserialize)]
struct Named {
    slot: Slot,
    name: String,
}

/// The plugin in the address, and whoever may change it.
impl FromRequestParts<Arc<App>> for Changing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let OfTenant { who, tenant } = OfTenant::from_request_parts(parts, app).await?;
        let Path(Named { slot, name }) = Path::from_request_parts(parts, app).await?;
        let wrong = |_| Problem::new(ErrorCode::Malformed, "a plugin's name has 1 to 64 of a-z, 0-9 and '-'");
        let name = name.parse::<MethodName>().map_err(wrong)?;
        Ok(Self { who, tenant, slot, name })
    }
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
