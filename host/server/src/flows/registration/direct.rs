//! Direct registration: an authorised application gives identifier and push token, both (REG-16).

use switchhook_core::row::Registration;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{ApplicationId, DeviceId, MethodName, PushToken, TenantId},
};
use switchhook_storage::Transaction;

use super::association::{Account, associate};
use crate::{app::App, flows::FlowError, secrets};

/// How it was proven: an application said so.
const METHOD: &str = "direct";

/// Registers an identifier for the device of a push token.
pub(crate) async fn register(
    app: &App,
    tenant: &TenantId,
    by: String,
    (application, endpoint, push_token): (ApplicationId, EndpointId, &PushToken),
) -> Result<Registration, FlowError> {
    let device = device_of(app, tenant, &application, push_token).await?;
    let method: MethodName = METHOD.parse().or(Err(ErrorCode::Internal))?;
    let registration = Registration { application, endpoint, device, method, registered_at: app.now() };
    let (stored, mut rng) = (registration.clone(), app.rng());
    let elsewhere = app.bounds.of(tenant).settings.proven_elsewhere;
    let store = async move |tx: &mut Transaction<'_>| {
        let writes = associate(tx, &stored, Account { by: &by, elsewhere }, &mut rng).await?;
        tx.apply(writes).await
    };
    let committed = app.storage.of(tenant).run("register-direct", store).await?;
    app.wake(tenant, committed);
    // Somebody may be rung by it.
    app.timers.notify_one();
    Ok(registration)
}

/// The device of a push token, if it is one of the application's.
pub(crate) async fn device_of(
    app: &App,
    tenant: &TenantId,
    application: &ApplicationId,
    push_token: &PushToken,
) -> Result<DeviceId, FlowError> {
    let hash = secrets::hash(push_token.as_str());
    let device = app.storage.of(tenant).devices().by_push_token(&hash).await?;
    let own = device.filter(|device| device.application == *application).ok_or(ErrorCode::NotFound)?;
    if own.push_token_until <= app.now() {
        return Err(ErrorCode::PushTokenExpired.into());
    }
    Ok(own.id)
}
