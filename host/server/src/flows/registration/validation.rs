//! An application has a mail address validated, without a device or a method (REG-18).
//!
//! The application names the validation, so that a request which is repeated asks for the same one and mails once. The
//! token comes back as any link does ([`super::link`]): by the page's button, or posted by a program that reads the
//! address's mail.

use switchhook_core::{
    registration::validation::{self, Begun},
    row::{Secret, Validation, Write},
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{ApplicationId, TenantId, ValidationId},
};
use switchhook_storage::Transaction;

use crate::{app::App, flows::FlowError};

/// Begins a validation, or finds it begun before; another address under the same name is [`ErrorCode::Conflict`]. Says
/// whether it is new.
pub(crate) async fn begin(
    app: &App,
    tenant: &TenantId,
    (application, id): (ApplicationId, ValidationId),
    address: EndpointId,
) -> Result<(Validation, bool), FlowError> {
    let storage = app.storage.of(tenant);
    if let Some(known) = storage.validation(&application, &id).await? {
        return same(known, &address);
    }
    let keys = app.keys.of(tenant);
    let begun = validation::begin(&keys, (application, id), address.clone(), app.now(), &mut app.rng())?;
    if storage.mail_server().await?.is_none() {
        return Err(ErrorCode::NoMailServer.into());
    }
    app.mail_rates.take_for_application(tenant, &address, app.now()).map_err(FlowError::too_often)?;
    let store = async move |tx: &mut Transaction<'_>| {
        let Begun { validation, secret, mail } = &begun;
        // Whoever asked at the same time was first.
        if let Some(known) = tx.validation(&validation.application, &validation.id).await? {
            return same(known, &address);
        }
        tx.put_validation(validation).await?;
        tx.put_secret(secret).await?;
        tx.apply(vec![Write::Enqueue(mail.clone())]).await?;
        Ok((validation.clone(), true))
    };
    let (validation, new) = storage.run("validation-begin", store).await?;
    if new {
        app.outbox.hint();
    }
    Ok((validation, new))
}

fn same(known: Validation, address: &EndpointId) -> Result<(Validation, bool), FlowError> {
    if known.address == *address { Ok((known, false)) } else { Err(ErrorCode::Conflict.into()) }
}

/// Its token has come back, for the first time.
pub(super) async fn validated(app: &App, tenant: &TenantId, secret: Secret) -> Result<(), FlowError> {
    let now = app.now();
    let store = async move |tx: &mut Transaction<'_>| {
        if !tx.use_secret(&secret.id, secret.kind, now).await? {
            return Err(ErrorCode::LinkUsed.into());
        }
        if !tx.validated(&secret.attempt, now).await? {
            return Err(ErrorCode::RegistrationExpired.into());
        }
        Ok::<_, FlowError>(())
    };
    app.storage.of(tenant).run("validation-end", store).await
}
