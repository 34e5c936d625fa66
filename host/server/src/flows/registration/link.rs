//! The link that came by mail: opened by its person in a browser, or found by the client itself (REG-8).
//!
//! Looking at a token changes nothing, since programs that look through mail open every link in it. It counts when it
//! is posted: then it is used in the transaction of the step that hears of it, or with the validation that it was mailed
//! for. A token proves the address that it was mailed to and no other.

use switchhook_core::{
    policy::registration::Event,
    registration::link,
    row::{Attempt, Secret, SecretKind},
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::TenantId,
    registration::{RegisterLink, RegistrationProgress},
};

use super::{
    progress,
    step::{self, Beside, Step, Stepped},
    validation,
};
use crate::{
    app::App,
    flows::{Caller, FlowError},
};

/// A token that may be posted.
#[derive(Debug)]
pub(crate) struct Open {
    secret: Secret,
    whose: Whose,
}

/// Whose attempt it was to prove the address.
#[derive(Debug)]
enum Whose {
    /// A device's, which registers.
    Device(Attempt),
    /// An application's, which only wants to know.
    Application,
}

impl Open {
    /// The address that it proves.
    pub(crate) const fn address(&self) -> &EndpointId {
        &self.secret.endpoint
    }
}

/// What a token would prove; changes nothing.
pub(crate) async fn look(app: &App, tenant: &TenantId, token: &str) -> Result<Open, FlowError> {
    let storage = app.storage.of(tenant);
    let id = link::record_id(token)?;
    let secret = storage.secret(&id, SecretKind::Link).await?.ok_or(ErrorCode::RegistrationMismatch)?;
    let now = app.now();
    link::check(&app.keys.of(tenant), &secret, token, now)?;
    let whose = match storage.attempts().get(&secret.attempt).await? {
        Some(attempt) if !attempt.finished && attempt.expires_at > now => Whose::Device(attempt),
        None if storage.validation_of(&secret.attempt).await?.is_some() => Whose::Application,
        Some(_) | None => return Err(ErrorCode::RegistrationExpired.into()),
    };
    Ok(Open { secret, whose })
}

/// Whoever has the token has the mail: no device has to prove itself. An address, if one is given, must be the
/// token's own.
pub(crate) async fn open(
    app: &App,
    tenant: &TenantId,
    token: &str,
    address: Option<&EndpointId>,
) -> Result<EndpointId, FlowError> {
    let found = look(app, tenant, token).await?;
    if address.is_some_and(|address| address != found.address()) {
        return Err(ErrorCode::RegistrationMismatch.into());
    }
    let Open { secret, whose } = found;
    let proven = secret.endpoint.clone();
    match whose {
        Whose::Device(attempt) => {
            let device = app.storage.of(tenant).devices().get(&attempt.device).await?;
            let device = device.ok_or(ErrorCode::RegistrationExpired)?;
            use_it(app, &Caller { tenant: tenant.clone(), device, from: None }, secret, attempt).await?;
        }
        Whose::Application => {
            validation::validated(app, tenant, secret).await?;
            app.metrics.links_opened.inc();
        }
    }
    Ok(proven)
}

/// The device of the attempt posts the token itself (REG-8).
pub(crate) async fn post(
    app: &App,
    caller: &Caller,
    request: RegisterLink,
) -> Result<RegistrationProgress, FlowError> {
    let Open { secret, whose } = look(app, &caller.tenant, &request.token).await?;
    let Whose::Device(attempt) = whose else { return Err(ErrorCode::RegistrationMismatch.into()) };
    if attempt.device != caller.device.id || secret.endpoint != request.address {
        return Err(ErrorCode::RegistrationMismatch.into());
    }
    let stepped = use_it(app, caller, secret, attempt).await?;
    Ok(progress(app, stepped))
}

async fn use_it(app: &App, caller: &Caller, secret: Secret, attempt: Attempt) -> Result<Stepped, FlowError> {
    let event = Event::LinkOpened(secret.endpoint.clone());
    let step = Step { attempt, gateway: None, event, beside: Beside::Use(secret) };
    let stepped = step::step(app, caller, step).await?;
    app.metrics.links_opened.inc();
    Ok(stepped)
}
