//! A device and its own identifiers: it lists them, and takes one off itself (REG-11).

use switchhook_core::row::Registration;
use switchhook_protocol::{
    call::Done,
    error::ErrorCode,
    registration::{HeldRegistration, RegisterRevoke, RegistrationList},
};
use switchhook_storage::{Held, Page};

use super::association::{itself, release};
use crate::{
    app::App,
    flows::{Caller, FlowError},
    limits,
};

pub(crate) async fn list(app: &App, caller: &Caller) -> Result<RegistrationList, FlowError> {
    let storage = app.storage.of(&caller.tenant);
    let page = Page { application: None, after: None, limit: limits::PAGE };
    let held = storage.registrations().held(&Held::On(caller.device.id.clone()), page).await?;
    Ok(RegistrationList { registrations: held.into_iter().map(shown).collect() })
}

pub(crate) async fn revoke(app: &App, caller: &Caller, request: RegisterRevoke) -> Result<Done, FlowError> {
    let device = &caller.device.id;
    let released = release(app, &caller.tenant, (device, &request.endpoint), itself(device)).await?;
    if released { Ok(Done {}) } else { Err(ErrorCode::NotYourIdentifier.into()) }
}

fn shown(registration: Registration) -> HeldRegistration {
    let Registration { endpoint, application, method, registered_at, device: _ } = registration;
    HeldRegistration { endpoint, application, method, registered_at }
}
