//! A step's transaction: the attempt's new state, what caused the step, and what is to be performed after it.

use switchhook_core::{
    mint,
    policy::{
        Slot,
        registration::{Event, Pair, Transition},
    },
    registration::perform::Performed,
    row::{Attempt, Registration, Write},
    seal::Purpose,
    transit::policy::TextPolicy,
};
use switchhook_protocol::{error::ErrorCode, registration::Credentials};
use switchhook_storage::{Committed, PutAttempt, StorageError, Transaction};

use super::Step;
use crate::{
    app::App,
    flows::{
        Caller, FlowError,
        registration::{
            association::{Account, associate, itself},
            profile::{self, Of},
            texting,
        },
    },
};

/// Commits a step; none if the attempt changed under it.
pub(super) async fn commit(
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
    let elsewhere = app.bounds.of(&caller.tenant).settings.proven_elsewhere;
    let committed = app
        .storage
        .of(&caller.tenant)
        .run(name_of(&step.event), async move |tx| {
            let (wanted, new) = (&performed.profile.credentials, mint::profile(&mut rng));
            attempt.profile = profile::of_attempt(tx, wanted, attempt.profile.take(), new).await?;
            if tx.put_attempt(&attempt, attempt.version, now).await? == PutAttempt::Conflict {
                return Err(Undone::Stale);
            }
            beside.commit(tx, now).await?;
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
                let account = Account { by: &itself(&device.id), elsewhere };
                writes.extend(associate(tx, &registration, account, &mut rng).await?);
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
pub(in crate::flows::registration) enum Undone {
    /// Another step came first.
    Stale,
    Failed(FlowError),
}

impl From<StorageError> for Undone {
    fn from(error: StorageError) -> Self {
        Self::Failed(error.into())
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
