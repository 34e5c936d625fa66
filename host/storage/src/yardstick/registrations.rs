//! One registration by SMS as rows, in the three transactions that its flow has.

use std::{num::NonZeroU32, sync::Arc};

use switchhook_core::row::{
    Attempt, OutboxEntry, OutboxKind, OutboxState, Registration, Secret, SecretKind, TransitAnswer, Write,
};
use switchhook_protocol::{id::DeviceId, time::Timestamp};

use super::{Rate, Unmeasured, in_turn, repeat};
use crate::{attempts::PutAttempt, error::StorageError, lifecycle::TenantStorage, transaction::Transaction};

/// What one registration stores.
#[derive(Clone)]
struct Rows {
    attempt: Attempt,
    secret: Secret,
    text: OutboxEntry,
    answer: TransitAnswer,
    registration: Registration,
}

/// Commits registrations of these devices in turn, one after the other its three transactions, so many at a time. The
/// name of the run tells its numbers from those of others.
pub async fn registrations(
    storage: &TenantStorage,
    devices: &[DeviceId],
    (run, count): (u8, u32),
    at_once: NonZeroU32,
) -> Result<Rate, Unmeasured> {
    let (storage, devices) = (storage.clone(), Arc::<[DeviceId]>::from(devices));
    repeat(count, at_once, move |call| {
        let (storage, devices) = (storage.clone(), Arc::clone(&devices));
        async move {
            let Some(device) = in_turn(&devices, call) else { return Ok(()) };
            rows(device, &format!("{run}{call:08}"))?.commit(&storage).await
        }
    })
    .await
}

impl Rows {
    async fn commit(self, storage: &TenantStorage) -> Result<(), Unmeasured> {
        let asked = self.clone();
        let ask = async move |tx: &mut Transaction<'_>| {
            put(tx, &asked.attempt, 0).await?;
            tx.put_transit_answer(&asked.answer).await?;
            tx.put_secret(&asked.secret).await?;
            tx.apply(vec![Write::Enqueue(asked.text)]).await
        };
        storage.run("register-text", ask).await?;

        let sent = self.clone();
        let send = async move |tx: &mut Transaction<'_>| {
            put(tx, &sent.attempt, 1).await?;
            tx.move_outbox(&sent.text.id, &[OutboxState::Queued], OutboxState::Sent).await
        };
        storage.run("register-sent", send).await?;

        let proven = async move |tx: &mut Transaction<'_>| {
            put(tx, &Attempt { finished: true, ..self.attempt }, 2).await?;
            tx.use_secret(&self.secret.id, SecretKind::Signature, NOW).await?;
            tx.count_proof(&self.secret.attempt, &self.secret.endpoint, NOW).await?;
            tx.bind(&self.registration).await
        };
        storage.run("register-validate", proven).await?;
        Ok(())
    }
}

async fn put(tx: &mut Transaction<'_>, attempt: &Attempt, expected: u64) -> Result<(), StorageError> {
    match tx.put_attempt(attempt, expected, NOW).await? {
        PutAttempt::Stored(_) => Ok(()),
        PutAttempt::Conflict => Err(StorageError::Conflict { rule: "attempts.version".to_owned() }),
    }
}

const NOW: Timestamp = Timestamp::from_millis(1);
const LATER: Timestamp = Timestamp::from_millis(600_000);

fn rows(device: &DeviceId, name: &str) -> Result<Rows, Unmeasured> {
    let (attempt, gateway) = (format!("attempt-{name}"), "sandbox".parse()?);
    let endpoint = format!("+1555{name}").parse::<switchhook_protocol::endpoint::EndpointId>()?;
    Ok(Rows {
        attempt: Attempt {
            id: attempt.parse()?,
            method: "register-sms".parse()?,
            key: format!("key-{name}"),
            device: device.clone(),
            plugin_version: 1,
            state: Some(vec![7; 120]),
            version: 0,
            expires_at: LATER,
            finished: false,
            profile: None,
        },
        secret: Secret {
            id: format!("secret-{name}"),
            kind: SecretKind::Signature,
            attempt: attempt.parse()?,
            endpoint: endpoint.clone(),
            device: Some(device.clone()),
            key_id: [1; 4],
            digest: vec![9; 32],
            tries_left: 1,
            expires_at: LATER,
            used_at: None,
        },
        text: OutboxEntry {
            id: format!("text-{name}").parse()?,
            kind: OutboxKind::Text,
            attempt: attempt.parse()?,
            gateway: Some(gateway),
            payload: vec![3; 400],
            state: OutboxState::Queued,
            queued_at: NOW,
        },
        answer: TransitAnswer {
            gateway: "sandbox".parse()?,
            message: format!("message-{name}"),
            digest: [8; 32],
            status: 202,
            answer: "{}".to_owned(),
            at: NOW,
        },
        registration: Registration {
            application: "phone".parse()?,
            endpoint,
            device: device.clone(),
            method: "register-sms".parse()?,
            registered_at: NOW,
        },
    })
}
