//! One step of an attempt: ask the method, commit what it says with what belongs to it.
//!
//! The commit names the version of the attempt that the method saw. If another step was committed
//! meanwhile, the method is asked again over the new state, a bounded number of times.

use switchhook_core::{
    policy::{
        Slot,
        registration::{Effect, Event, Pair, State, Transition},
    },
    registration::perform::{Performed, Performing, perform},
    row::{Attempt, OutboxState, Registration, Secret, TransitAnswer, Write},
    seal::Purpose,
};
use switchhook_protocol::{
    error::ErrorCode,
    id::{AttemptId, GatewayId, MessageId},
    time::Timestamp,
};
use switchhook_storage::{PutAttempt, StorageError, Transaction};

use crate::{
    app::App,
    flows::{Caller, FlowError, late},
    limits,
};

/// What a method is asked, and what is committed with its answer.
#[derive(Debug)]
pub(crate) struct Step {
    /// As it was read; version 0 is a new one.
    pub(crate) attempt: Attempt,
    /// The gateway that texts go out by.
    pub(crate) gateway: Option<GatewayId>,
    /// What happened.
    pub(crate) event: Event,
    /// What stands or falls with the step.
    pub(crate) beside: Beside,
}

/// What is committed in the same transaction.
#[derive(Debug, Clone)]
pub(crate) enum Beside {
    Nothing,
    /// This secret is used, once.
    Use(Secret),
    /// The transit's message has this answer.
    Answer(TransitAnswer),
    /// The effect whose outcome the method hears is over.
    Settle {
        entry: MessageId,
        state: OutboxState,
    },
}

/// What a step led to.
#[derive(Debug)]
pub(crate) struct Stepped {
    pub(crate) attempt: AttemptId,
    pub(crate) performed: Performed,
}

pub(crate) async fn step(app: &App, caller: &Caller, mut step: Step) -> Result<Stepped, FlowError> {
    for _ in 0..limits::STEP_TRIES {
        if step.attempt.version >= limits::STEPS_OF_ATTEMPT {
            return Err(ErrorCode::RegistrationExpired.into());
        }
        let (transition, version) = ask(app, caller, &step).await?;
        step.attempt.plugin_version = version;
        check(&transition, caller, &step.event)?;
        check_rates(app, caller, &transition)?;
        let keys = app.keys.of(&caller.tenant);
        let facts = Performing {
            keys: &keys,
            attempt: &step.attempt.id,
            device: &step.attempt.device,
            gateway: step.gateway.as_ref(),
            now: app.now(),
        };
        let performed = perform(facts, &transition, &mut app.rng())?;
        if let Some(performed) = commit(app, caller, &step, transition, performed).await? {
            if !performed.outbox.is_empty() {
                app.outbox.hint();
            }
            if !performed.bound.is_empty() {
                // Somebody may be rung by it.
                app.timers.notify_one();
            }
            return Ok(Stepped { attempt: step.attempt.id, performed });
        }
        let storage = app.storage.of(&caller.tenant);
        let newer = storage.attempts().get(&step.attempt.id).await?;
        if newer.is_none() && step.attempt.version == 0 {
            // Another attempt with this key was begun meanwhile.
            return Err(ErrorCode::Conflict.into());
        }
        step.attempt = newer.filter(|newer| !newer.finished).ok_or(ErrorCode::RegistrationExpired)?;
    }
    Err(ErrorCode::Overloaded.into())
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

/// Texts cost money and wake people: a number gets only so many.
fn check_rates(app: &App, caller: &Caller, transition: &Transition) -> Result<(), FlowError> {
    for effect in &transition.effects {
        let to = match effect {
            Effect::SendText(text) => &text.to,
            Effect::SendSignature(signature) => &signature.to,
            Effect::SendCode(proof) => &proof.to,
            Effect::SendMail(_)
            | Effect::SendLink(_)
            | Effect::Ask(_)
            | Effect::Fetch(_)
            | Effect::CheckPassword(_)
            | Effect::After(_)
            | Effect::SetAddressState(_)
            | Effect::Bind(_)
            | Effect::IssueCredentials(_)
            | Effect::Notify(_)
            | Effect::Store(_)
            | Effect::Finish => continue,
        };
        app.text_rates.take((&caller.tenant, to), app.now()).map_err(FlowError::too_often)?;
    }
    Ok(())
}

/// Commits a step; none if the attempt changed under it.
async fn commit(
    app: &App,
    caller: &Caller,
    step: &Step,
    transition: Transition,
    performed: Performed,
) -> Result<Option<Performed>, FlowError> {
    let now = app.now();
    let keys = app.keys.of(&caller.tenant);
    let state = keys.seal_bytes(Purpose::PluginState, &transition.state.0, &mut app.rng());
    let attempt = Attempt {
        state: Some(state),
        expires_at: now.after(transition.expires_in),
        finished: performed.finished,
        ..step.attempt.clone()
    };
    let (beside, device) = (step.beside.clone(), caller.device.clone());
    let room = app.granted.of(&caller.tenant, Slot::RegistrationMethod, &attempt.method).key_value_bytes;
    let committed = app
        .storage
        .of(&caller.tenant)
        .run(name_of(&step.event), async move |tx| {
            if tx.put_attempt(&attempt, attempt.version, now).await? == PutAttempt::Conflict {
                return Err(Undone::Stale);
            }
            commit_beside(tx, beside, now).await?;
            for secret in &performed.secrets {
                tx.put_secret(secret).await?;
            }
            let mut writes: Vec<Write> = performed.outbox.iter().cloned().map(Write::Enqueue).collect();
            for endpoint in &performed.bound {
                let registration = Registration {
                    application: device.application.clone(),
                    endpoint: endpoint.clone(),
                    device: device.id.clone(),
                    method: attempt.method.clone(),
                    registered_at: now,
                };
                tx.bind(&registration).await?;
                writes.extend(late::registered(tx, &registration).await?);
            }
            store_pairs(tx, &performed.pairs, room).await?;
            tx.apply(writes).await?;
            Ok(performed)
        })
        .await;
    match committed {
        Ok(performed) => Ok(Some(performed)),
        Err(Undone::Stale) => Ok(None),
        Err(Undone::Failed(error)) => Err(error),
    }
}

/// Why a step's transaction left nothing behind.
enum Undone {
    /// Another step came first.
    Stale,
    Failed(FlowError),
}

impl From<StorageError> for Undone {
    fn from(error: StorageError) -> Self {
        Self::Failed(error.into())
    }
}

async fn commit_beside(tx: &mut Transaction<'_>, beside: Beside, now: Timestamp) -> Result<(), Undone> {
    match beside {
        Beside::Nothing => Ok(()),
        Beside::Use(secret) => {
            let used = tx.use_secret(&secret.id, secret.kind, now).await?;
            if used { Ok(()) } else { Err(Undone::Failed(ErrorCode::RegistrationExpired.into())) }
        }
        Beside::Answer(answer) => match tx.put_transit_answer(&answer).await {
            Err(StorageError::Conflict { .. }) => Err(Undone::Failed(ErrorCode::Conflict.into())),
            done => Ok(done?),
        },
        Beside::Settle { entry, state } => {
            tx.move_outbox(&entry, OutboxState::Performing, state).await?;
            Ok(())
        }
    }
}

/// Changes pairs, within what the plugin is granted.
async fn store_pairs(tx: &mut Transaction<'_>, pairs: &[Pair], room: u64) -> Result<(), Undone> {
    if pairs.is_empty() {
        return Ok(());
    }
    for pair in pairs {
        tx.put_pair(pair).await?;
    }
    if tx.size_of_pairs().await? > room {
        let why = "the method's pairs have no room";
        return Err(Undone::Failed(FlowError::refused(ErrorCode::RegistrationRefused, why)));
    }
    Ok(())
}

/// The transaction's name: what the crash tests and metrics know it by.
const fn name_of(event: &Event) -> &'static str {
    match event {
        Event::TextReceived(_) => "register-text",
        Event::Begun(_) => "register-begin",
        Event::SignatureVerified(_) => "register-validate",
        Event::CodeVerified(_) => "register-code",
        Event::CodeFailed { .. } => "register-code-failed",
        Event::TextSent(_) | Event::MailSent(_) => "register-sent",
        Event::LinkOpened(_)
        | Event::Answered(_)
        | Event::Fetched(_)
        | Event::Checked(_)
        | Event::Deadline => "register-step",
    }
}
