//! Associations of identifiers and devices: each that is made, changed or taken back is noted, and the devices that had
//! an identifier which another proves are told (REG-11).
//!
//! The note names the device and who did it; the identifier stands in it masked, so that erasing a person leaves
//! the audit as it is.

use rand::rngs::StdRng;
use serde_json::json;
use switchhook_core::{
    registration::elsewhere::{OTHERS, ProvenElsewhere},
    row::{Registration, Write},
};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{DeviceId, TenantId},
    time::Timestamp,
};
use switchhook_storage::{AuditEntry, StorageError, Transaction};

use crate::{app::App, flows::late};

/// On whose account an association is stored, and what that is to those that had the identifier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account<'a> {
    /// Who did it, as the audit names them.
    pub(crate) by: &'a str,
    /// The tenant's setting.
    pub(crate) elsewhere: ProvenElsewhere,
}

/// Stores an association; the writes ring the device for whoever rings its identifier already, and tell the devices
/// that had it.
pub(crate) async fn associate(
    tx: &mut Transaction<'_>,
    registration: &Registration,
    account: Account<'_>,
    rng: &mut StdRng,
) -> Result<Vec<Write>, StorageError> {
    let formerly = tx.bind(registration).await?;
    let detail = json!({
        "endpoint": registration.endpoint.to_string(),
        "application": registration.application,
        "method": registration.method,
        "formerly": formerly,
    });
    let action = match &formerly {
        None => "registration.add",
        Some(method) if *method == registration.method => return late::registered(tx, registration).await,
        Some(_) => "registration.change",
    };
    let action = (action, &registration.device);
    tx.audit(&entry(action, account.by, detail.to_string(), registration.registered_at)).await?;
    let mut writes = late::registered(tx, registration).await?;
    if formerly.is_none() {
        writes.extend(elsewhere(tx, registration, account, rng).await?);
    }
    Ok(writes)
}

/// What the tenant wants to become of an identifier on the devices of others that have it.
async fn elsewhere(
    tx: &mut Transaction<'_>,
    registration: &Registration,
    Account { by, elsewhere }: Account<'_>,
    rng: &mut StdRng,
) -> Result<Vec<Write>, StorageError> {
    if elsewhere.keeps() && !elsewhere.tells() {
        return Ok(Vec::new());
    }
    let Registration { endpoint, device: to, registered_at: now, .. } = registration;
    let others = tx.others(registration, OTHERS).await?;
    if !elsewhere.keeps() {
        for device in &others {
            tx.revoke(device, endpoint).await?;
            tx.unregister_address(device, endpoint).await?;
            let detail = json!({ "endpoint": endpoint.to_string(), "to": to });
            tx.audit(&entry(("registration.move", device), by, detail.to_string(), *now)).await?;
        }
    }
    let told = others.into_iter().filter(|_| elsewhere.tells());
    Ok(told.map(|device| elsewhere.tell(device, endpoint, *now, rng)).collect())
}

/// Takes an association back; says whether there was one.
pub(crate) async fn release(
    app: &App,
    tenant: &TenantId,
    (device, endpoint): (&DeviceId, &EndpointId),
    by: String,
) -> Result<bool, StorageError> {
    let (device, endpoint, now) = (device.clone(), endpoint.clone(), app.now());
    let release = async move |tx: &mut Transaction<'_>| {
        let released = tx.revoke(&device, &endpoint).await?;
        tx.unregister_address(&device, &endpoint).await?;
        if released {
            let detail = json!({ "endpoint": endpoint.to_string() });
            tx.audit(&entry(("registration.revoke", &device), &by, detail.to_string(), now)).await?;
        }
        Ok(released)
    };
    app.storage.of(tenant).run("register-revoke", release).await
}

/// The device itself, as the audit names it.
pub(crate) fn itself(device: &DeviceId) -> String {
    format!("device {device}")
}

fn entry((action, device): (&str, &DeviceId), by: &str, detail: String, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: by.to_owned(),
        action: action.to_owned(),
        subject: device.as_str().to_owned(),
        detail,
    }
}
