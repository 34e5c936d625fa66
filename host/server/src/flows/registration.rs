//! Registration: a device proves an identifier by a method of its tenant (REG-3 to REG-8).
//!
//! The method (a plugin) is asked for one step at a time; state, secrets, texts and association of a
//! step are one transaction ([`step`]). Texts and mails leave afterwards, by the outbox.

pub(crate) mod association;
pub(crate) mod direct;
pub(crate) mod held;
pub(crate) mod link;
pub(crate) mod mailing;
pub(crate) mod step;
pub(crate) mod texting;

use std::collections::BTreeMap;

use switchhook_core::{
    mint,
    policy::registration::{Event, Field, MAX_FIELDS},
    registration::{
        code::{self, Checked},
        signature::{self, Fields, Verified},
    },
    row::{Attempt, Secret, SecretKind},
};
use switchhook_protocol::{
    error::ErrorCode,
    id::AttemptId,
    registration::{RegisterBegin, RegisterCode, RegisterValidate, RegistrationProgress},
    time::millis,
};

use self::step::{Beside, Step, Stepped};
use super::{Caller, FlowError, push_token};
use crate::app::App;

/// Longest value of a field, in bytes.
const MAX_VALUE: usize = 512;

/// Begins an attempt by what the user filled in (REG-5).
pub(crate) async fn begin(
    app: &App,
    caller: &Caller,
    request: RegisterBegin,
) -> Result<RegistrationProgress, FlowError> {
    push_token::check(app, caller).await?;
    let fields = fields(request.fields)?;
    let id = mint::attempt(&mut app.rng());
    let attempt = Attempt {
        key: id.as_str().to_owned(),
        id,
        method: request.method,
        device: caller.device.id.clone(),
        plugin_version: 0,
        state: None,
        version: 0,
        expires_at: app.now(),
        finished: false,
    };
    let step = Step { attempt, gateway: None, event: Event::Begun(fields), beside: Beside::Nothing };
    let stepped = step::step(app, caller, step).await?;
    Ok(progress(app, stepped))
}

/// The code that came to the number (REG-5): checked and counted by the host before the method hears of it.
pub(crate) async fn code(
    app: &App,
    caller: &Caller,
    request: RegisterCode,
) -> Result<RegistrationProgress, FlowError> {
    let attempt = own_attempt(app, caller, &request.attempt).await?;
    let keys = app.keys.of(&caller.tenant);
    let (id, now) = (attempt.id.clone(), app.now());
    let (checked, secret) = app
        .storage
        .of(&caller.tenant)
        .run("register-code-try", async move |tx| {
            let secret = tx.secret(id.as_str(), SecretKind::Code).await?.ok_or(ErrorCode::NotFound)?;
            let checked = code::check(&keys, &secret, &request.code, now);
            if matches!(checked, Checked::Wrong(_)) {
                tx.wrong_try(&secret.id, SecretKind::Code).await?;
            }
            Ok::<_, FlowError>((checked, secret))
        })
        .await?;
    match checked {
        Checked::Right => {
            let event = Event::CodeVerified(secret.endpoint.clone());
            let step = Step { attempt, gateway: None, event, beside: Beside::Use(secret) };
            Ok(progress(app, step::step(app, caller, step).await?))
        }
        Checked::Wrong(tries_left) => {
            let event = Event::CodeFailed { tries_left };
            let step = Step { attempt, gateway: None, event, beside: Beside::Nothing };
            let heard = step::step(app, caller, step).await;
            if tries_left == 0 {
                return Err(ErrorCode::TriesExhausted.into());
            }
            heard?;
            Err(ErrorCode::WrongCode.into())
        }
        Checked::Exhausted => Err(ErrorCode::TriesExhausted.into()),
        Checked::Expired => Err(ErrorCode::RegistrationExpired.into()),
    }
}

/// The signature that came by SMS, with all it was made over (REG-4).
pub(crate) async fn validate(
    app: &App,
    caller: &Caller,
    request: RegisterValidate,
) -> Result<RegistrationProgress, FlowError> {
    let secret = checked_signature(app, caller, &request).await?;
    let Some(secret) = secret else {
        return Ok(RegistrationProgress::Registered { endpoint: request.number });
    };
    let attempt = own_attempt(app, caller, &secret.attempt).await?;
    let event = Event::SignatureVerified(request.number);
    let step = Step { attempt, gateway: None, event, beside: Beside::Use(secret) };
    let stepped = step::step(app, caller, step).await?;
    app.metrics.validated.inc();
    Ok(progress(app, stepped))
}

/// The record to use, or none if the same device repeats what succeeded before.
async fn checked_signature(
    app: &App,
    caller: &Caller,
    request: &RegisterValidate,
) -> Result<Option<Secret>, FlowError> {
    let mismatch = ErrorCode::RegistrationMismatch;
    if request.device != caller.device.id {
        return Err(mismatch.into());
    }
    if !push_token::is_present(app, caller, &request.push_token).await? {
        return Err(mismatch.into());
    }
    let storage = app.storage.of(&caller.tenant);
    let id = signature::record_id(&request.signature)?;
    let secret = storage.secret(&id, SecretKind::Signature).await?.ok_or(mismatch)?;
    let fields = Fields { number: &request.number, push_token: &request.push_token, device: &request.device };
    let keys = app.keys.of(&caller.tenant);
    match signature::check(&keys, &secret, fields, &request.signature, app.now())? {
        Verified::Fresh => Ok(Some(secret)),
        Verified::Repeated => {
            let held = storage.registrations().holds(&caller.device.id, &request.number).await?;
            if held { Ok(None) } else { Err(ErrorCode::RegistrationExpired.into()) }
        }
    }
}

async fn own_attempt(app: &App, caller: &Caller, id: &AttemptId) -> Result<Attempt, FlowError> {
    let attempt = app.storage.of(&caller.tenant).attempts().get(id).await?;
    let own = attempt.filter(|attempt| attempt.device == caller.device.id);
    let attempt = own.ok_or(ErrorCode::NotFound)?;
    if attempt.finished || attempt.expires_at <= app.now() {
        return Err(ErrorCode::RegistrationExpired.into());
    }
    Ok(attempt)
}

fn fields(fields: BTreeMap<String, String>) -> Result<Vec<Field>, ErrorCode> {
    let fits = |(name, value): (&String, &String)| name.len() <= MAX_VALUE && value.len() <= MAX_VALUE;
    if fields.len() > MAX_FIELDS || !fields.iter().all(fits) {
        return Err(ErrorCode::TooLarge);
    }
    Ok(fields.into_iter().map(|(name, value)| Field { name, value }).collect())
}

/// How far a step brought the attempt, in the client's words.
fn progress(app: &App, stepped: Stepped) -> RegistrationProgress {
    let Stepped { attempt, performed } = stepped;
    if let Some(endpoint) = performed.bound.into_iter().next() {
        return RegistrationProgress::Registered { endpoint };
    }
    match performed.code_until {
        Some(until) => {
            RegistrationProgress::CodeSent { attempt, expires_in_ms: millis(app.now().until(until)) }
        }
        None => RegistrationProgress::Pending { attempt },
    }
}
