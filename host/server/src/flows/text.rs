//! A text that a transit received from a device (REG-2, REG-3).
//!
//! The transit signs its report. A repeat of the same message gets the stored answer, and has no
//! second effect; the same id with another body is a conflict. The device is found by the push token
//! in the text: whoever knows that token of a device may begin a registration for it.

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use switchhook_core::{
    mint,
    policy::registration::{Claim, Event, TextMessage},
    row::{Attempt, Device, Gateway, TransitAnswer},
    seal::Purpose,
    transit::verify,
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{AttemptId, GatewayId, TenantId},
};
use switchhook_storage::TenantStorage;

use super::{
    Caller, FlowError,
    registration::step::{self, Beside, Step},
};
use crate::{app::App, limits, secrets};

/// A transit's report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TextReport {
    /// The gateway's id of the message, at most 128 bytes.
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
pub struct TextAccepted {
    /// The registration attempt that the text began or continued.
    pub attempt: AttemptId,
}

/// What the transport knows of the report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) signature: &'a str,
}

/// Words of a text that may be a push token: more is no text of a device.
const MAX_WORDS: usize = 8;

const MAX_ID: usize = 128;

/// Status and body of the answer.
pub(crate) type Answered = (u16, String);

pub(crate) async fn text(
    app: &App,
    tenant: &TenantId,
    gateway: &GatewayId,
    signed: Signed<'_>,
) -> Result<Answered, FlowError> {
    let storage = app.storage.of(tenant);
    let gateway = storage.gateways().get(gateway).await?.ok_or(ErrorCode::NotFound)?;
    check_signature(app, tenant, &gateway, signed)?;
    let report: TextReport = serde_json::from_slice(signed.body)
        .map_err(|error| FlowError::refused(ErrorCode::Malformed, &error.to_string()))?;
    if report.id.is_empty() || report.id.len() > MAX_ID {
        return Err(ErrorCode::TooLarge.into());
    }
    let digest: [u8; 32] = Sha256::digest(signed.body).into();
    for _ in 0..limits::STEP_TRIES {
        if let Some(answered) = answered_before(&storage, &gateway.id, &report.id, digest).await? {
            return Ok(answered);
        }
        match begin(app, tenant, &gateway.id, &report, digest).await {
            // A report came at the same time: the same one, whose answer is the answer, or another
            // one of this device, whose attempt this one goes on with.
            Err(FlowError::Refused(body)) if body.code == ErrorCode::Conflict => {}
            answered => return answered,
        }
    }
    Err(ErrorCode::Overloaded.into())
}

async fn begin(
    app: &App,
    tenant: &TenantId,
    gateway: &GatewayId,
    report: &TextReport,
    digest: [u8; 32],
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
    let caller = Caller { tenant: tenant.clone(), device };
    let attempt = attempt(app, &caller, claim).await?;
    let accepted = TextAccepted { attempt: attempt.id.clone() };
    let answer = serde_json::to_string(&accepted).or(Err(ErrorCode::Internal))?;
    let beside = Beside::Answer(TransitAnswer {
        gateway: gateway.clone(),
        message: report.id.clone(),
        digest,
        status: 200,
        answer: answer.clone(),
        at: app.now(),
    });
    let gateway = Some(gateway.clone());
    let event = Event::TextReceived(message);
    step::step(app, &caller, Step { attempt, gateway, event, beside }).await?;
    app.metrics.texts_received.inc();
    Ok((200, answer))
}

fn check_signature(
    app: &App,
    tenant: &TenantId,
    gateway: &Gateway,
    signed: Signed<'_>,
) -> Result<(), ErrorCode> {
    let keys = app.keys.of(tenant);
    let secret = keys.open_bytes(Purpose::Secret, &gateway.secret).or(Err(ErrorCode::Internal))?;
    verify(&secret, signed.body, signed.signature, app.now()).or(Err(ErrorCode::BadSignature))
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
    let key = stored_key(app, &caller.tenant, &claim);
    let storage = app.storage.of(&caller.tenant);
    let running = storage.attempts().by_key(&claim.method, &key, app.now()).await?;
    if let Some(running) = running {
        let same = running.device == caller.device.id;
        return if same { Ok(running) } else { Err(ErrorCode::RegistrationMismatch.into()) };
    }
    Ok(Attempt {
        id: mint::attempt(&mut app.rng()),
        method: claim.method,
        key,
        device: caller.device.id.clone(),
        plugin_version: 0,
        state: None,
        version: 0,
        expires_at: app.now(),
        finished: false,
    })
}

/// A keyed hash of the method's key: what a method puts into it (a push token, a number) is not stored.
fn stored_key(app: &App, tenant: &TenantId, claim: &Claim) -> String {
    let parts = [claim.method.as_str().as_bytes(), claim.key.reveal().as_bytes()];
    let (_, mac) = app.keys.of(tenant).mac("attempt-key", &parts);
    BASE32_NOPAD.encode(&mac)
}
