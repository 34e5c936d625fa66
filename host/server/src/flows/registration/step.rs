//! One step of an attempt: ask the method, commit what it says with what belongs to it.
//!
//! The [`commit`] names the version of the attempt that the method saw. If another step was committed
//! meanwhile, the method is asked again over the new state, a bounded number of times. What caused the step stands or
//! falls with it ([`beside`]).

mod beside;
mod commit;

use switchhook_core::{
    policy::registration::{Effect, Event, State, Transition},
    registration::{
        perform::{Performed, Performing, perform},
        test_number::{self, TestNumber},
    },
    row::Attempt,
    seal::Purpose,
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{AttemptId, GatewayId},
    registration::Credentials,
};

pub(crate) use self::beside::Beside;
pub(super) use self::commit::Undone;
use super::{
    mailing, sign_in,
    texting::{self, Taken},
};
use crate::{
    app::App,
    flows::{Caller, FlowError},
    limits,
};

/// What a method is asked, and what is committed with its answer.
#[derive(Debug)]
pub(crate) struct Step {
    /// As it was read; version 0 is a new one.
    pub(crate) attempt: Attempt,
    /// The gateway that a text came through which is answered; otherwise one is chosen for each text.
    pub(crate) gateway: Option<GatewayId>,
    /// What happened.
    pub(crate) event: Event,
    /// What stands or falls with the step.
    pub(crate) beside: Beside,
}

/// What a step led to.
#[derive(Debug)]
pub(crate) struct Stepped {
    pub(crate) attempt: AttemptId,
    pub(crate) performed: Performed,
    /// Credentials for the device's own eyes.
    pub(crate) issued: Vec<Credentials>,
}

pub(crate) async fn step(app: &App, caller: &Caller, step: Step) -> Result<Stepped, FlowError> {
    step_again(app, caller, step, &mut Taken::default()).await
}

/// The same for a request that may have tried before: what it has taken of the rates for texts and mails, it has.
pub(crate) async fn step_again(
    app: &App,
    caller: &Caller,
    mut step: Step,
    taken: &mut Taken,
) -> Result<Stepped, FlowError> {
    let mut guessed = Taken::default();
    for _ in 0..limits::STEP_TRIES {
        if step.attempt.version >= limits::STEPS_OF_ATTEMPT {
            return Err(ErrorCode::RegistrationExpired.into());
        }
        let (transition, version) = ask(app, caller, &step).await?;
        step.attempt.plugin_version = version;
        check(&transition, caller, &step.event)?;
        sign_in::check(app, caller, (&step.attempt.id, &transition), &mut guessed).await?;
        let bounds = app.bounds.of(&caller.tenant);
        let test_numbers = bounds.settings.test_numbers.as_slice();
        let numbers = numbers(&transition, test_numbers);
        let (whose, answers) = ((&caller.tenant, &caller.device.id), step.gateway.is_some());
        let policy = texting::check(app, &caller.tenant, answers, &numbers).await?;
        app.text_rates
            .take(caller.into(), answers, &numbers, taken, app.now())
            .map_err(FlowError::too_often)?;
        let mails = mailing::check(app, whose, &transition, taken).await?;
        let gateways = texting::gateways(app, &caller.tenant, step.gateway.as_ref(), &numbers).await?;
        let keys = app.keys.of(&caller.tenant);
        let facts = Performing {
            keys: &keys,
            attempt: &step.attempt.id,
            device: &step.attempt.device,
            gateways: &gateways,
            test_numbers,
            mails,
            now: app.now(),
        };
        let performed = perform(facts, &transition, &mut app.rng())?;
        if let Some((performed, issued)) =
            commit::commit(app, caller, &step, (transition, policy), performed).await?
        {
            if let Beside::Use(secret) = &step.beside {
                app.metrics.proven(&secret.endpoint);
            }
            if !performed.outbox.is_empty() {
                app.outbox.hint();
            }
            if !performed.bound.is_empty() || performed.deadline.is_some() {
                // Somebody may be rung by it, or it waits for its time.
                app.timers.notify_one();
            }
            return Ok(Stepped { attempt: step.attempt.id, performed, issued });
        }
        let storage = app.storage.of(&caller.tenant);
        let newer = storage.attempts().get(&step.attempt.id).await?;
        if newer.is_none() && step.attempt.version == 0 {
            // Another attempt with this key was begun meanwhile.
            return Err(ErrorCode::Conflict.into());
        }
        step.attempt = newer.filter(|newer| !newer.finished).ok_or(ErrorCode::RegistrationExpired)?;
    }
    Err(FlowError::overloaded())
}

/// The method's answer, and the version of it that the attempt asks from now on.
async fn ask(app: &App, caller: &Caller, step: &Step) -> Result<(Transition, u32), FlowError> {
    let keys = app.keys.of(&caller.tenant);
    let state = match &step.attempt.state {
        Some(sealed) => {
            let opened = keys.open_bytes(Purpose::PluginState, sealed).or(Err(ErrorCode::Internal))?;
            Some(State(opened))
        }
        None => None,
    };
    app.plugins.step(app, caller, &step.attempt, (state.as_ref(), &step.event)).await
}

/// A signature is made only for the device and token that the text itself proved.
fn check(transition: &Transition, caller: &Caller, event: &Event) -> Result<(), ErrorCode> {
    let text = if let Event::TextReceived(message) = event { message.text.as_str() } else { "" };
    let names = |word: &str| text.split_ascii_whitespace().any(|other| other == word);
    for effect in &transition.effects {
        if let Effect::SendSignature(wanted) = effect
            && !(wanted.device == caller.device.id && names(wanted.push_token.as_str()))
        {
            return Err(ErrorCode::RegistrationMismatch);
        }
    }
    Ok(())
}

/// Whom a step texts: test numbers get none.
fn numbers<'a>(transition: &'a Transition, test_numbers: &[TestNumber]) -> Vec<&'a EndpointId> {
    let texted = transition.effects.iter().filter_map(Effect::texts);
    texted.filter(|number| test_number::code_of(test_numbers, number).is_none()).collect()
}
