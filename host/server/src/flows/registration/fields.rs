//! What a device's user filled in, as its method sees it: passwords are handles, credentials what they prove.

use std::collections::BTreeMap;

use switchhook_core::{
    policy::registration::{Field, MAX_FIELDS},
    registration::{credentials, password},
};
use switchhook_protocol::{
    error::ErrorCode,
    id::{AttemptId, ProfileId},
    registration::{Scope, Secrecy},
};

use crate::{
    app::App,
    flows::{Caller, FlowError},
};

/// Longest value of a field, in bytes.
const MAX_VALUE: usize = 512;

/// Longest credentials, in bytes: of the longest address.
const MAX_CREDENTIALS: usize = 1024;

/// Fields for a method.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) fields: Vec<Field>,
    /// The profile that the credentials among them speak for.
    pub(super) profile: Option<ProfileId>,
}

/// Opens what was filled in for an attempt.
pub(super) async fn open(
    app: &App,
    caller: &Caller,
    attempt: &AttemptId,
    filled: BTreeMap<String, String>,
) -> Result<Opened, FlowError> {
    let fits = |(name, value): (&String, &String)| {
        let most = if let Secrecy::Credentials(_) = Secrecy::of(name) { MAX_CREDENTIALS } else { MAX_VALUE };
        name.len() <= MAX_VALUE && value.len() <= most
    };
    if filled.len() > MAX_FIELDS || !filled.iter().all(fits) {
        return Err(ErrorCode::TooLarge.into());
    }
    let keys = app.keys.of(&caller.tenant);
    let user = filled.get(password::USER).cloned().unwrap_or_default();
    let mut opened = Opened { fields: Vec::new(), profile: None };
    for (name, value) in filled {
        let value = match Secrecy::of(&name) {
            Secrecy::Open => value,
            Secrecy::Password => password::hide(&keys, attempt, (&user, &value), &mut app.rng()),
            Secrecy::Credentials(scope) => {
                prove(app, caller, &mut opened.profile, (scope, &name, &value)).await?
            }
            Secrecy::Unknown => {
                return Err(FlowError::refused(ErrorCode::Malformed, "there are no such credentials"));
            }
        };
        opened.fields.push(Field { name, value });
    }
    Ok(opened)
}

/// What credentials prove; all of one request are of one profile.
async fn prove(
    app: &App,
    caller: &Caller,
    profile: &mut Option<ProfileId>,
    (scope, name, value): (Scope, &str, &str),
) -> Result<String, FlowError> {
    let refused = |code: ErrorCode| FlowError::refused(code, &format!("{name}: {}", code.meaning().trim()));
    let keys = app.keys.of(&caller.tenant);
    let held = credentials::read(&keys, value, scope, &caller.device, app.now()).map_err(refused)?;
    if !app.storage.of(&caller.tenant).counts(&held).await? {
        return Err(refused(ErrorCode::CredentialsRevoked));
    }
    if profile.get_or_insert_with(|| held.profile.clone()) != &held.profile {
        return Err(refused(ErrorCode::CredentialsRefused));
    }
    Ok(held.endpoint.map_or_else(|| held.profile.into(), String::from))
}
