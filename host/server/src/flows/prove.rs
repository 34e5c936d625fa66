//! Prove: a device that has no socket proves by a signature over its request who it is (INV-16).
//!
//! What `hello` is for a socket. The nonce is spent before anything is done: a request that is sent
//! again is refused, also by another node, and also when the first one failed in what it asked.

use switchhook_core::http_signature::{HttpSignature, Refused};
use switchhook_protocol::{
    error::{ErrorBody, ErrorCode},
    id::TenantId,
};

use super::{Caller, FlowError};
use crate::app::App;

impl From<Refused> for FlowError {
    fn from(refused: Refused) -> Self {
        Self::Refused(ErrorBody::from(refused))
    }
}

/// `part` gives the value of what the signature covers.
pub(crate) async fn prove(
    app: &App,
    tenant: &TenantId,
    signature: &HttpSignature,
    part: impl Fn(&str) -> Option<String> + Send,
) -> Result<Caller, FlowError> {
    let now = app.now();
    let claim = signature.claim(now)?;
    let storage = app.storage.of(tenant);
    // Who is not of this tenant is answered like who signs wrongly.
    let device = storage.devices().get(&claim.device).await?.ok_or(Refused::Mismatch)?;
    signature.verify(&device.key, part)?;
    app.requests_of_device.take((tenant, &device.id), now).map_err(FlowError::too_often)?;
    app.requests_of_tenant.take(tenant, now).map_err(FlowError::too_often)?;
    if !storage.devices().spend(&device.id, &claim.nonce, claim.expires, now).await? {
        return Err(ErrorCode::Replayed.into());
    }
    Ok(Caller { tenant: tenant.clone(), device })
}
