//! One step of an attempt: ask the method, commit what it says with what belongs to it.
//!
//! The commit names the version of the attempt that the method saw. If another step was committed
//! meanwhile, the method is asked again over the new state, a bounded number of times.

use switchhook_core::{
    mint,
    policy::{
        Slot,
        registration::{Effect, Event, Pair, State, Transition},
    },
    registration::{
        perform::{Performed, Performing, perform},
        test_number::{self, TestNumber},
    },
    row::{Attempt, Deadline, OutboxState, Registration, Secret, TransitAnswer, Write},
    seal::Purpose,
    transit::policy::TextPolicy,
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{AttemptId, GatewayId, MessageId},
    registration::Credentials,
    time::Timestamp,
};
use switchhook_storage::{Committed, PutAttempt, StorageError, Transaction};

use super::{
    association::{associate, itself},
    mailing,
    profile::{self, Of},
    texting::{self, Taken},
};
use crate::{
    app::App,
    flows::{Caller, FlowError, text},
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

/// What is committed in the same transaction.
#[derive(Debug, Clone)]
pub(crate) enum Beside {
    Nothing,
    /// This secret is used, once.
    Use(Secret),
    /// The transit's message has this answer, and the parts that it was joined from are forgotten.
    Answer {
        answer: TransitAnswer,
        parts: Option<String>,
    },
    /// The effect of which the method hears goes on from one of these states to this one; a conflict if it is in
    /// none of them, since then more has become of it than the method would hear.
    Settle {
        entry: MessageId,
        from: &'static [OutboxState],
        state: OutboxState,
    },
    /// This deadline is claimed; a conflict if somebody else has claimed it.
    Deadline(Deadline),
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
    for _ in 0..limits::STEP_TRIES {
        if step.attempt.version >= limits::STEPS_OF_ATTEMPT {
            return Err(ErrorCode::RegistrationExpired.into());
        }
        let (transition, version) = ask(app, caller, &step).await?;
        step.attempt.plugin_version = version;
        check(&transition, caller, &step.event)?;
        let bounds = app.bounds.of(&caller.tenant);
        let test_numbers = bounds.settings.test_numbers.as_slice();
        let numbers = numbers(&transition, test_numbers);
        let policy = texting::check(app, &caller.tenant, &numbers).await?;
        let (whose, answers) = ((&caller.tenant, &caller.device.id), step.gateway.is_some());
        app.text_rates.take(whose, answers, &numbers, taken, app.now()).map_err(FlowError::too_often)?;
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
        if let Some((performed, issued)) = commit(app, caller, &step, (transition, policy), performed).await?
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

/// Commits a step; none if the attempt changed under it.
async fn commit(
    app: &App,
    caller: &Caller,
    step: &Step,
    (transition, policy): (Transition, TextPolicy),
    performed: Performed,
) -> Result<Option<(Performed, Vec<Credentials>)>, FlowError> {
    let now = app.now();
    let keys = app.keys.of(&caller.tenant);
    let state = keys.seal_bytes(Purpose::PluginState, &transition.state.0, &mut app.rng());
    let mut attempt = Attempt {
        state: Some(state),
        expires_at: now.after(transition.expires_in),
        finished: performed.finished,
        ..step.attempt.clone()
    };
    let (beside, device) = (step.beside.clone(), caller.device.clone());
    let (own_request, mut rng) = (profile::answers_device(&step.event), app.rng());
    let room = app.granted.of(&caller.tenant, Slot::RegistrationMethod, &attempt.method).key_value_bytes;
    let committed = app
        .storage
        .of(&caller.tenant)
        .run(name_of(&step.event), async move |tx| {
            let (wanted, new) = (&performed.profile.credentials, mint::profile(&mut rng));
            attempt.profile = profile::of_attempt(tx, wanted, attempt.profile.take(), new).await?;
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
                writes.extend(associate(tx, &registration, &itself(&device.id)).await?);
            }
            let of = Of { keys: &keys, attempt: &attempt, device: &device, now, own_request };
            let (issued, told) = profile::commit(tx, &of, &performed, &mut rng).await?;
            writes.extend(told);
            store_pairs(tx, &performed.pairs, room).await?;
            texting::spend(tx, performed.text_parts, &policy, now).await.map_err(Undone::Failed)?;
            let committed = tx.apply(writes).await?;
            Ok::<(Performed, Vec<Credentials>, Committed), Undone>((performed, issued, committed))
        })
        .await;
    match committed {
        Ok((performed, issued, committed)) => {
            app.wake(&caller.tenant, committed);
            Ok(Some((performed, issued)))
        }
        Err(Undone::Stale) => Ok(None),
        Err(Undone::Failed(error)) => Err(error),
    }
}

/// Why a step's transaction left nothing behind.
pub(super) enum Undone {
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
            if !tx.use_secret(&secret.id, secret.kind, now).await? {
                return Err(Undone::Failed(ErrorCode::RegistrationExpired.into()));
            }
            Ok(tx.count_proof(&secret.attempt, &secret.endpoint, now).await?)
        }
        Beside::Answer { answer, parts } => match text::put_answer(tx, &answer, parts.as_deref()).await {
            Err(StorageError::Conflict { .. }) => Err(Undone::Failed(ErrorCode::Conflict.into())),
            done => Ok(done?),
        },
        Beside::Settle { entry, from, state } => {
            let moved = tx.move_outbox(&entry, from, state).await?;
            if moved { Ok(()) } else { Err(Undone::Failed(ErrorCode::Conflict.into())) }
        }
        Beside::Deadline(deadline) => {
            let claimed = tx.claim_deadline(&deadline).await?;
            if claimed { Ok(()) } else { Err(Undone::Failed(ErrorCode::Conflict.into())) }
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
        Event::LinkOpened(_) => "register-link",
        Event::Answered(_) => "register-answer",
        Event::Checked(_) => "register-checked",
        Event::Deadline => "register-deadline",
        Event::Fetched(_) => "register-step",
    }
}
