//! Associations of identifiers and devices: each that is made or taken back is noted (REG-11).
//!
//! The note names the device and who did it; the identifier stands in it masked, so that erasing a person leaves
//! the audit as it is.

use serde_json::json;
use switchhook_core::row::{Registration, Write};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{DeviceId, TenantId},
    time::Timestamp,
};
use switchhook_storage::{AuditEntry, StorageError, Transaction};

use crate::{app::App, flows::late};

/// Stores an association; the writes ring the device for whoever rings its identifier already.
pub(crate) async fn associate(
    tx: &mut Transaction<'_>,
    registration: &Registration,
    by: &str,
) -> Result<Vec<Write>, StorageError> {
    if tx.bind(registration).await? {
        let detail = json!({
            "endpoint": registration.endpoint.to_string(),
            "application": registration.application,
            "method": registration.method,
        });
        let action = ("registration.add", &registration.device);
        tx.audit(&entry(action, by, detail.to_string(), registration.registered_at)).await?;
    }
    late::registered(tx, registration).await
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
