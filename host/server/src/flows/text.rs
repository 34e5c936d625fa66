//! A text that a transit received from a device (REG-2, REG-3).
//!
//! That it is the transit that reports has been proven in the transit's own way. A repeat of the same
//! message gets the stored answer, and has no second effect; the same id with another body is a
//! conflict. The device is found by the push token in the text: whoever knows that token of a device
//! may begin a registration for it. Before any method hears of a text, the host itself heeds a wish for
//! no more texts ([`keyword`]).

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use switchhook_core::{
    mint,
    policy::registration::{Claim, Event, TextMessage},
    row::{Attempt, Device, TransitAnswer},
    transit::{
        MAX_MESSAGE_ID, is_message_id,
        keyword::{self, Wish},
    },
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{AttemptId, GatewayId, TenantId},
};
use switchhook_storage::{StorageError, TenantStorage, Transaction};

use super::{
    Caller, FlowError, push_token,
    registration::{
        step::{self, Beside, Step},
        texting::Taken,
    },
};
use crate::{app::App, limits, secrets};

/// A transit's report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TextReport {
    /// The gateway's id of the message: 1 to 128 printable characters of ASCII, no space.
    pub id: String,
    /// The sender's number, as the gateway read it from the message's header.
    pub from: EndpointId,
    /// The number or short code it was sent to.
    pub to: String,
    /// What it says.
    pub text: String,
}

/// What a transit is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TextAccepted {
    /// The text began or continued a registration.
    Registration {
        /// Its attempt.
        attempt: AttemptId,
    },
    /// It said whether its sender wants texts.
    Wish {
        /// Whether they want none.
        opted_out: bool,
    },
}

impl TextAccepted {
    /// The attempt that the text began or continued.
    pub const fn attempt(&self) -> Option<&AttemptId> {
        match self {
            Self::Registration { attempt } => Some(attempt),
            Self::Wish { .. } => None,
        }
    }
}

/// Words of a text that may be a push token: more is no text of a device.
const MAX_WORDS: usize = 8;

/// Status and body of the answer.
pub(crate) type Answered = (u16, String);

/// Where a report comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// Of everything that a repeat of it has in common with it.
    pub(crate) digest: [u8; 32],
    /// The parts that its text was joined from: they are forgotten with the commit that takes it.
    pub(crate) parts: Option<&'a str>,
}

impl From<[u8; 32]> for Origin<'_> {
    /// A text that came whole.
    fn from(digest: [u8; 32]) -> Self {
        Self { digest, parts: None }
    }
}

/// Takes a report.
pub(crate) async fn text(
    app: &App,
    tenant: &TenantId,
    gateway: &GatewayId,
    report: &TextReport,
    origin: Origin<'_>,
) -> Result<Answered, FlowError> {
    if !is_message_id(&report.id) {
        let too_large = report.id.len() > MAX_MESSAGE_ID;
        return Err(if too_large { ErrorCode::TooLarge } else { ErrorCode::Malformed }.into());
    }
    let (storage, mut taken) = (app.storage.of(tenant), Taken::default());
    for _ in 0..limits::STEP_TRIES {
        if let Some(answered) = answered_before(&storage, gateway, &report.id, origin.digest).await? {
            return Ok(answered);
        }
        let outcome = match keyword::wish(&report.text) {
            Some(wish) => heed(app, tenant, gateway, report, (origin, wish)).await,
            None => begin(app, tenant, gateway, report, origin, &mut taken).await,
        };
        match outcome {
            // A report came at the same time: the same one, whose answer is the answer, or another
            // one of this device, whose attempt this one goes on with.
            Err(FlowError::Refused(body)) if body.code == ErrorCode::Conflict => {}
            answered => return answered,
        }
    }
    Err(FlowError::overloaded())
}

async fn begin(
    app: &App,
    tenant: &TenantId,
    gateway: &GatewayId,
    report: &TextReport,
    origin: Origin<'_>,
    taken: &mut Taken,
) -> Result<Answered, FlowError> {
    let message = TextMessage {
        gateway: gateway.clone(),
        sender: report.from.clone(),
        recipient: report.to.clone(),
        text: report.text.clone(),
    };
    let claim = app.plugins.claim(app, tenant, &message).await.ok_or(ErrorCode::NotClaimed)?;
    let storage = app.storage.of(tenant);
    let device = device_named_in(&storage, &report.text).await?;
    let caller = Caller { tenant: tenant.clone(), device, from: None };
    push_token::check(app, &caller).await?;
    let attempt = attempt(app, &caller, claim).await?;
    let accepted = TextAccepted::Registration { attempt: attempt.id.clone() };
    let answer = serde_json::to_string(&accepted).or(Err(ErrorCode::Internal))?;
    let row = answered(app, gateway, report, (origin, &answer));
    let beside = Beside::Answer { answer: row, parts: origin.parts.map(str::to_owned) };
    let gateway = Some(gateway.clone());
    let event = Event::TextReceived(message);
    step::step_again(app, &caller, Step { attempt, gateway, event, beside }, taken).await?;
    app.metrics.texts_received.inc();
    Ok((200, answer))
}

/// Notes that the sender wants no more texts of the tenant, or wants them again.
async fn heed(
    app: &App,
    tenant: &TenantId,
    gateway: &GatewayId,
    report: &TextReport,
    (origin, wish): (Origin<'_>, Wish),
) -> Result<Answered, FlowError> {
    let opted_out = wish == Wish::Stop;
    let answer = serde_json::to_string(&TextAccepted::Wish { opted_out }).or(Err(ErrorCode::Internal))?;
    let row = answered(app, gateway, report, (origin, &answer));
    let (sender, parts, now) = (report.from.clone(), origin.parts.map(str::to_owned), app.now());
    let storage = app.storage.of(tenant);
    let noted = storage.run("text-wish", async move |tx| {
        put_answer(tx, &row, parts.as_deref()).await?;
        tx.opt_out(&sender, opted_out, now).await
    });
    match noted.await {
        Ok(()) => Ok((200, answer)),
        Err(StorageError::Conflict { .. }) => Err(ErrorCode::Conflict.into()),
        Err(trouble) => Err(trouble.into()),
    }
}

/// What the transit's message is answered with from now on.
fn answered(
    app: &App,
    gateway: &GatewayId,
    report: &TextReport,
    (origin, answer): (Origin<'_>, &str),
) -> TransitAnswer {
    TransitAnswer {
        gateway: gateway.clone(),
        message: report.id.clone(),
        digest: origin.digest,
        status: 200,
        answer: answer.to_owned(),
        at: app.now(),
    }
}

/// Stores what a text is answered with; the parts that it was joined from are forgotten.
pub(super) async fn put_answer(
    tx: &mut Transaction<'_>,
    answer: &TransitAnswer,
    parts: Option<&str>,
) -> Result<(), StorageError> {
    tx.put_transit_answer(answer).await?;
    match parts {
        Some(parts) => tx.forget_text_parts(&answer.gateway, parts).await,
        None => Ok(()),
    }
}

async fn answered_before(
    storage: &TenantStorage,
    gateway: &GatewayId,
    message: &str,
    digest: [u8; 32],
) -> Result<Option<Answered>, FlowError> {
    match storage.gateways().answer(gateway, message).await? {
        Some(stored) if stored.digest == digest => Ok(Some((stored.status, stored.answer))),
        Some(_) => Err(FlowError::refused(ErrorCode::Conflict, "this message id came with another body")),
        None => Ok(None),
    }
}

async fn device_named_in(storage: &TenantStorage, text: &str) -> Result<Device, FlowError> {
    for word in text.split_ascii_whitespace().take(MAX_WORDS) {
        if let Some(device) = storage.devices().by_push_token(&secrets::hash(word)).await? {
            return Ok(device);
        }
    }
    Err(ErrorCode::RegistrationMismatch.into())
}

/// The attempt that the text continues, or a new one.
async fn attempt(app: &App, caller: &Caller, claim: Claim) -> Result<Attempt, FlowError> {
    let keys = stored_keys(app, &caller.tenant, &claim);
    let storage = app.storage.of(&caller.tenant);
    for key in &keys {
        if let Some(running) = storage.attempts().by_key(&claim.method, key, app.now()).await? {
            let same = running.device == caller.device.id;
            return if same { Ok(running) } else { Err(ErrorCode::RegistrationMismatch.into()) };
        }
    }
    let key = keys.into_iter().next().unwrap_or_default();
    Ok(Attempt {
        id: mint::attempt(&mut app.rng()),
        method: claim.method,
        key,
        device: caller.device.id.clone(),
        profile: None,
        plugin_version: 0,
        state: None,
        version: 0,
        expires_at: app.now(),
        finished: false,
    })
}

/// Keyed hashes of the method's key, the current key's first: what a method puts into it (a push token, a number) is
/// not stored.
fn stored_keys(app: &App, tenant: &TenantId, claim: &Claim) -> Vec<String> {
    let parts = [claim.method.as_str().as_bytes(), claim.key.reveal().as_bytes()];
    app.keys.of(tenant).macs("attempt-key", &parts).iter().map(|mac| BASE32_NOPAD.encode(mac)).collect()
}
