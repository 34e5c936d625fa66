//! Sign-in: a method has a password compared with the user directory, and hears the outcome at once (REG-6).
//!
//! Guesses are bounded before they cost anything. A device that holds credentials of the user has a bound of its own:
//! whoever guesses elsewhere does not lock it out.

use switchhook_core::{
    policy::registration::Event,
    registration::password,
    row::{User, UserState},
};
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode};

use super::{
    own_attempt,
    step::{self, Beside, Step, Stepped},
};
use crate::{
    app::App,
    flows::{Caller, FlowError},
    limits,
    passwords::NotComputed,
    rates::Rates,
};

/// How often passwords may be tried.
#[derive(Debug)]
pub(crate) struct Guesses {
    of_known: Rates,
    of_device: Rates,
    at_user: Rates,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { of_known: Rates::new(), of_device: Rates::new(), at_user: Rates::new() }
    }
}

/// Goes on with an attempt for as long as its method has passwords compared.
pub(super) async fn follow(app: &App, caller: &Caller, mut stepped: Stepped) -> Result<Stepped, FlowError> {
    for _ in 0..limits::PASSWORDS_OF_REQUEST {
        let Some(handle) = stepped.performed.check.take().filter(|_| !stepped.performed.finished) else {
            return Ok(stepped);
        };
        let attempt = own_attempt(app, caller, &stepped.attempt).await?;
        let keys = app.keys.of(&caller.tenant);
        let typed = password::open(&keys, &attempt.id, &handle);
        let typed =
            typed.map_err(|why| FlowError::refused(ErrorCode::RegistrationRefused, &why.to_string()))?;
        let event = Event::Checked(is_right(app, caller, typed).await?);
        let step = Step { attempt, gateway: None, event, beside: Beside::Nothing };
        stepped = step::step(app, caller, step).await?;
    }
    Ok(stepped)
}

async fn is_right(app: &App, caller: &Caller, password: password::Password) -> Result<bool, FlowError> {
    let storage = app.storage.of(&caller.tenant);
    let user = password.user.parse::<EndpointId>().ok();
    bound(app, caller, user.as_ref()).await?;
    let known = match &user {
        Some(user) => storage.users().get(user).await?,
        None => None,
    };
    let active = known.filter(|user: &User| user.state == UserState::Active);
    match app.passwords.is_right(password.typed, active.map(|user| user.password)).await {
        Ok(right) => Ok(right),
        Err(NotComputed::Busy) => Err(FlowError::overloaded()),
        Err(NotComputed::Failed) => Err(ErrorCode::Internal.into()),
    }
}

/// Takes one guess; an error says how long to wait for it.
async fn bound(app: &App, caller: &Caller, user: Option<&EndpointId>) -> Result<(), FlowError> {
    let Caller { tenant, device, .. } = caller;
    let (guesses, now) = (&app.guesses, app.now());
    let taken = match user {
        Some(user) if app.storage.of(tenant).profiles().is_known(&device.id, user).await? => {
            guesses.of_known.take(limits::GUESSES_OF_KNOWN_DEVICE, (tenant, &device.id, user), now)
        }
        _ => guesses
            .of_device
            .take(limits::GUESSES_OF_DEVICE, (tenant, &device.id), now)
            .and_then(|()| guesses.at_user.take(limits::GUESSES_AT_USER, (tenant, user), now)),
    };
    taken.map_err(FlowError::too_often)
}
