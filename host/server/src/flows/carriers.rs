//! The carrier bundle: which number a device texts to register (REG-15).

use switchhook_protocol::{
    carrier::{CarrierBundle, Carriers, PresentCarriers},
    id::TenantId,
};

use super::{Caller, FlowError};
use crate::app::App;

/// The tenant's bundle, if the device has another version.
pub(crate) async fn present(
    app: &App,
    caller: &Caller,
    request: Carriers,
) -> Result<PresentCarriers, FlowError> {
    Ok(PresentCarriers { bundle: unless(app, &caller.tenant, request.held).await? })
}

/// What a new device is given with its id: it texts before it has a connection of its own.
pub(crate) async fn first(app: &App, tenant: &TenantId) -> Result<Option<CarrierBundle>, FlowError> {
    unless(app, tenant, CarrierBundle::default().version).await
}

async fn unless(app: &App, tenant: &TenantId, held: u64) -> Result<Option<CarrierBundle>, FlowError> {
    Ok(app.storage.of(tenant).carriers().await?.unless(held))
}
