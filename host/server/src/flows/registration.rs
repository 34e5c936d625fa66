//! Registration: a device proves an identifier by a method of its tenant (REG-3 to REG-8).
//!
//! The method (a plugin) is asked for one step at a time; state, secrets, texts and association of a
//! step are one transaction ([`step`]). Texts and mails leave afterwards, by the outbox.

pub(crate) mod association;
pub(crate) mod deadline;
pub(crate) mod direct;
mod fields;
pub(crate) mod held;
pub(crate) mod link;
pub(crate) mod mailing;
mod profile;
pub(crate) mod sign_in;
pub(crate) mod step;
pub(crate) mod texting;
pub(crate) mod validation;

use switchhook_core::{
    mint,
    policy::registration::Event,
    registration::{
        code::{self, Checked},
        signature::{self, Fields, Verified},
    },
    row::{Attempt, Secret, SecretKind},
};
use switchhook_protocol::{
    error::ErrorCode,
    id::AttemptId,
    registration::{
        AddressProgress, RegisterAnswer, RegisterBegin, RegisterCode, RegisterValidate, RegistrationProgress,
    },
    time::millis,
};

use self::step::{Beside, Step, Stepped};
use super::{Caller, FlowError, push_token};
use crate::app::App;

/// Begins an attempt by what the user filled in (REG-5).
pub(crate) async fn begin(
    app: &App,
    caller: &Caller,
    request: RegisterBegin,
) -> Result<RegistrationProgress, FlowError> {
    push_token::check(app, caller).await?;
    let id = mint::attempt(&mut app.rng());
    let opened = fields::open(app, caller, &id, request.fields).await?;
    let attempt = Attempt {
        key: id.as_str().to_owned(),
        id,
        method: request.method,
        device: caller.device.id.clone(),
        profile: opened.profile,
        plugin_version: 0,
        state: None,
        version: 0,
        expires_at: app.now(),
        finished: false,
    };
    let step = Step { attempt, gateway: None, event: Event::Begun(opened.fields), beside: Beside::Nothing };
    let stepped = step::step(app, caller, step).await?;
    Ok(progress(app, sign_in::follow(app, caller, stepped).await?))
}

/// What the user filled in when the attempt asked for more.
pub(crate) async fn answer(
    app: &App,
    caller: &Caller,
    request: RegisterAnswer,
) -> Result<RegistrationProgress, FlowError> {
    let attempt = own_attempt(app, caller, &request.attempt).await?;
    let opened = fields::open(app, caller, &attempt.id, request.fields).await?;
    if opened.profile.is_some() && opened.profile != attempt.profile {
        return Err(ErrorCode::CredentialsRefused.into());
    }
    let event = Event::Answered(opened.fields);
    let step = Step { attempt, gateway: None, event, beside: Beside::Nothing };
    let stepped = step::step(app, caller, step).await?;
    Ok(progress(app, sign_in::follow(app, caller, stepped).await?))
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
    let fields = Fields { number: &request.number, push_token: &request.push_token, device: &request.device };
    let keys = app.keys.of(&caller.tenant);
    let Some(secret) = storage.secret(&id, SecretKind::Signature).await? else {
        let held = storage.registrations().holds(&caller.device.id, &request.number).await?;
        let repeats = held && signature::was_made(&keys, fields, &request.signature);
        return if repeats { Ok(None) } else { Err(mismatch.into()) };
    };
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

/// How far a step brought the attempt, in the client's words.
fn progress(app: &App, stepped: Stepped) -> RegistrationProgress {
    let Stepped { attempt, performed, issued } = stepped;
    if let Some(issued) = issued.into_iter().next_back() {
        return RegistrationProgress::Issued(issued);
    }
    if let Some(endpoint) = performed.bound.into_iter().next() {
        return RegistrationProgress::Registered { endpoint };
    }
    if let Some(until) = performed.code_until {
        return RegistrationProgress::CodeSent { attempt, expires_in_ms: millis(app.now().until(until)) };
    }
    if performed.finished {
        return RegistrationProgress::Ended { attempt };
    }
    if performed.asked.is_empty() {
        return RegistrationProgress::Pending { attempt };
    }
    let far = performed.profile.addresses.into_iter();
    let addresses = far.map(|far| AddressProgress { address: far.address, state: far.state }).collect();
    RegistrationProgress::Asked { attempt, fields: performed.asked, addresses }
}
