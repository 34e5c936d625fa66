//! Whom a device can ring: what its identifier may ring by the tenant's list, less who has blocked it.
//!
//! Whoever may not be rung is as if nobody were registered, in answer and in work: the list is looked at
//! before anything is read, blocks with the same statement that finds devices.

use switchhook_core::{may_ring, row::Target};
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode};
use switchhook_storage::StorageError;

use super::{Caller, FlowError};
use crate::app::App;

/// The devices that somebody reaches by these identifiers, without its own.
pub(crate) async fn devices(
    app: &App,
    caller: &Caller,
    from: &EndpointId,
    endpoints: &[EndpointId],
) -> Result<Vec<Target>, StorageError> {
    let allowed = allowed(app, caller, from, endpoints);
    let (storage, application) = (app.storage.of(&caller.tenant), &caller.device.application);
    Ok(of_others(caller, storage.registrations().rung_by(from, application, &allowed).await?))
}

/// The same if `from` is the caller's identifier; otherwise it is refused.
pub(crate) async fn devices_from_own(
    app: &App,
    caller: &Caller,
    from: &EndpointId,
    endpoints: &[EndpointId],
) -> Result<Vec<Target>, FlowError> {
    let allowed = allowed(app, caller, from, endpoints);
    let (storage, device) = (app.storage.of(&caller.tenant), &caller.device);
    let found = storage.registrations().rung_from(&device.id, from, &device.application, &allowed).await?;
    Ok(of_others(caller, found.ok_or(ErrorCode::NotYourIdentifier)?))
}

fn allowed(app: &App, caller: &Caller, from: &EndpointId, endpoints: &[EndpointId]) -> Vec<EndpointId> {
    may_ring::allowed(&app.bounds.of(&caller.tenant).settings.may_ring, from, endpoints)
}

fn of_others(caller: &Caller, found: Vec<Target>) -> Vec<Target> {
    found.into_iter().filter(|target| target.device != caller.device.id).collect()
}
