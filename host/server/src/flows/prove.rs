//! Prove: a device that has no socket proves by a signature over its request who it is (INV-16).
//!
//! What `hello` is for a socket. The nonce is spent before anything is done: a request that is sent
//! again is refused, also by another node, and also when the first one failed in what it asked.

use switchhook_core::{
    http_signature::{AHEAD, HttpSignature, Refused},
    subscriber::Subscriber,
};
use switchhook_protocol::{
    error::{ErrorBody, ErrorCode},
    id::TenantId,
};

use super::{Caller, FlowError};
use crate::{app::App, limits};

impl From<Refused> for FlowError {
    fn from(refused: Refused) -> Self {
        Self::Refused(ErrorBody::from(refused))
    }
}

/// `part` gives the value of what the signature covers.
pub(crate) async fn prove(
    app: &App,
    (tenant, from): (&TenantId, Subscriber),
    signature: &HttpSignature,
    part: impl Fn(&str) -> Option<String> + Send,
) -> Result<Caller, FlowError> {
    let now = app.now();
    let claim = signature.claim(now)?;
    let storage = app.storage.of(tenant);
    // Who is not of this tenant is answered like who signs wrongly.
    let device = storage.devices().get(&claim.device).await?.ok_or(Refused::Mismatch)?;
    signature.verify(&device.key, part)?;
    let of_device = app.requests_of_device.take(limits::REQUESTS_OF_DEVICE, (tenant, &device.id), now);
    of_device.map_err(FlowError::too_often)?;
    let of_tenant = app.requests_of_tenant.take(limits::REQUESTS_OF_TENANT, tenant, now);
    of_tenant.map_err(FlowError::too_often)?;
    // Kept beyond the claim: the clock of the node that forgets it may be ahead of that of one that still takes it.
    let kept_until = claim.expires.after(AHEAD);
    if !storage.devices().spend(&device.id, &claim.nonce, kept_until, now).await? {
        return Err(ErrorCode::Replayed.into());
    }
    Ok(Caller { tenant: tenant.clone(), device, from: Some(from) })
}
