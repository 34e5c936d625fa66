//! Answers to requests that may be sent again. Keeping one is a typed write
//! (see [`crate::TenantStorage::commit`]) in the transaction of what the request did.

use switchhook_core::row::KeptAnswer;
use switchhook_protocol::id::{DeviceId, IdempotencyKey};

use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
};

const ANSWER: &str = "SELECT device, key, digest, answer, expires_at FROM answers \
     WHERE tenant = $1 AND device = $2 AND key = $3";

/// The answers that a tenant's devices got.
#[derive(Debug)]
pub struct Answers<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The answers that devices got.
    pub const fn answers(&self) -> Answers<'_> {
        Answers(self)
    }
}

impl Answers<'_> {
    /// What a device's request of this key was answered with.
    pub async fn get(
        &self,
        device: &DeviceId,
        key: &IdempotencyKey,
    ) -> Result<Option<KeptAnswer>, StorageError> {
        let query = Query::from(ANSWER)
            .bind(self.0.tenant().as_str().to_owned())
            .bind(device.as_str().to_owned())
            .bind(key.as_str().to_owned());
        self.0.storage().one(query, answer).await
    }
}

fn answer(row: &Row) -> Result<KeptAnswer, StorageError> {
    let mut cells = Cells::of("answers", row);
    Ok(KeptAnswer {
        device: cells.parsed()?,
        key: cells.parsed()?,
        digest: cells.text()?,
        answer: cells.text()?,
        expires_at: cells.timestamp()?,
    })
}
