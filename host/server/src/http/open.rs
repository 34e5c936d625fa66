//! The open interface: what applications ask with a token of their own (REG-12).
//!
//! Who asks shows a token that the tenant made for one application, and says for which it asks; the tenant's own
//! administrators may ask for any. How often an application asks is bounded, by itself and together with the tenant's
//! others.

pub(crate) mod registrations;
pub(crate) mod validations;

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::Deserialize;
use switchhook_protocol::{
    error::ErrorCode,
    id::{ApplicationId, TenantId},
};

use super::{admin::bearer, extract::Path, problem::Problem};
use crate::{app::App, flows::FlowError, tenants};

/// Who asks for an application of a tenant.
#[derive(Debug)]
pub(crate) struct Registrar {
    tenant: TenantId,
    label: String,
    /// The only application that it may ask for; none: any.
    application: Option<ApplicationId>,
}

#[derive(Deserialize)]
struct Named {
    tenant: String,
}

impl FromRequestParts<Arc<App>> for Registrar {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Path(Named { tenant }) = Path::from_request_parts(parts, app).await?;
        let token = bearer(app, &parts.headers).await?;
        if token.tenant.as_ref().is_some_and(|own| own.as_str() != tenant) {
            return Err(ErrorCode::Forbidden.into());
        }
        let tenant = tenants::known(app, &tenant).await?;
        Ok(Self { tenant, label: token.label, application: token.application })
    }
}

impl Registrar {
    /// Says which application it is for; refused if that is not its own, or asks too often.
    fn asks_for(&self, app: &App, application: &ApplicationId) -> Result<(), FlowError> {
        let own = self.application.as_ref().is_none_or(|own| own == application);
        if !own {
            return Err(ErrorCode::Forbidden.into());
        }
        app.bounds.request(&self.tenant, application, app.now()).map_err(FlowError::too_often)
    }
}
