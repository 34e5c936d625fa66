//! Push tokens: which count, and how a device gets another (REG-1).
//!
//! A device is its key: with that it gets a new token also when the old one is over, by a socket or by a signed request.
//! Identifiers belong to devices, so that a new token takes all of them over in its one step.

use serde_json::json;
use switchhook_core::{mint, row::Device, seal::Purpose};
use switchhook_protocol::{
    error::ErrorCode,
    id::PushToken,
    push_token::{PushAddress, PushTokenRenew, PushTokenRenewed},
    time::millis,
};
use switchhook_storage::{AuditEntry, StorageError, Transaction};

use super::{Caller, FlowError, registration::association::itself};
use crate::{app::App, limits, secrets};

pub(crate) async fn renew(
    app: &App,
    caller: &Caller,
    request: &PushTokenRenew,
) -> Result<PushTokenRenewed, FlowError> {
    if !request.wraps.as_ref().is_none_or(PushAddress::is_well_formed) {
        return Err(ErrorCode::Malformed.into());
    }
    let mut rng = app.rng();
    let address = match &request.wraps {
        Some(address) => {
            let plain = serde_json::to_vec(address).or(Err(ErrorCode::Internal))?;
            Some(app.keys.of(&caller.tenant).seal_bytes(Purpose::PushAddress, &plain, &mut rng))
        }
        None => None,
    };
    let push_token = mint::push_token(&mut rng);
    let (device, hash) = (caller.device.id.clone(), secrets::hash(push_token.as_str()));
    let until = app.now().after(limits::PUSH_TOKEN);
    let storage = app.storage.of(&caller.tenant);
    let noted = AuditEntry {
        at: app.now(),
        actor: itself(&device),
        action: "push-token.renew".to_owned(),
        subject: device.as_str().to_owned(),
        detail: json!({ "wraps_an_address": address.is_some() }).to_string(),
    };
    let set = async move |tx: &mut Transaction<'_>| {
        let known = tx.set_push_token(&device, &hash, (until, address)).await?;
        if known {
            tx.audit(&noted).await?;
        }
        Ok::<_, StorageError>(known)
    };
    if storage.run("push-token-renew", set).await? {
        Ok(PushTokenRenewed { push_token, expires_in_ms: millis(limits::PUSH_TOKEN) })
    } else {
        Err(ErrorCode::Unauthorized.into())
    }
}

/// Refuses what asks for a registration with a token that is over. A connection may have seen one that was renewed since.
pub(crate) async fn check(app: &App, caller: &Caller) -> Result<(), FlowError> {
    let counts = |device: &Device| device.push_token_until > app.now();
    if counts(&caller.device) {
        return Ok(());
    }
    let present = app.storage.of(&caller.tenant).devices().get(&caller.device.id).await?;
    if present.as_ref().is_some_and(counts) { Ok(()) } else { Err(ErrorCode::PushTokenExpired.into()) }
}

/// Whether this is the device's token now.
pub(crate) async fn is_present(app: &App, caller: &Caller, token: &PushToken) -> Result<bool, FlowError> {
    let hash = secrets::hash(token.as_str());
    let of = app.storage.of(&caller.tenant).devices().by_push_token(&hash).await?;
    Ok(of.is_some_and(|device| device.id == caller.device.id && device.push_token_until > app.now()))
}
