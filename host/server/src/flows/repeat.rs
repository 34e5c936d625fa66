//! Requests that may be sent again: what such a request did is committed with its answer, and a repeat gets
//! the answer and has no second effect.
//!
//! A client names a key when it cannot know whether a request arrived. The key is the device's own; the same
//! key with another request is a conflict. Answers are kept for a few minutes: a client that comes back later
//! asks for a snapshot.

use data_encoding::HEXLOWER;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use switchhook_core::row::{KeptAnswer, Write};
use switchhook_protocol::{error::ErrorCode, id::IdempotencyKey, time::Timestamp};
use switchhook_storage::TenantStorage;

use super::{Caller, FlowError};
use crate::limits;

/// A request with its key, if it has one.
pub(crate) struct Repeatable<'a> {
    caller: &'a Caller,
    named: Option<(IdempotencyKey, String)>,
}

impl<'a> Repeatable<'a> {
    pub(crate) fn of(
        caller: &'a Caller,
        key: Option<&IdempotencyKey>,
        request: &impl Serialize,
    ) -> Result<Self, FlowError> {
        let Some(key) = key else { return Ok(Self { caller, named: None }) };
        let digest = HEXLOWER.encode(&Sha256::digest(json(request)?));
        Ok(Self { caller, named: Some((key.clone(), digest)) })
    }

    /// What it was answered the first time; none if this is the first.
    pub(crate) async fn answered<T: DeserializeOwned>(
        &self,
        storage: &TenantStorage,
    ) -> Result<Option<T>, FlowError> {
        let Some((key, digest)) = &self.named else { return Ok(None) };
        match storage.answers().get(&self.caller.device.id, key).await? {
            Some(kept) if kept.digest == *digest => {
                Ok(Some(serde_json::from_str(&kept.answer).or(Err(ErrorCode::Internal))?))
            }
            Some(_) => Err(ErrorCode::Conflict.into()),
            None => Ok(None),
        }
    }

    /// What is committed with what it does.
    pub(crate) fn keep(&self, answer: &impl Serialize, now: Timestamp) -> Result<Option<Write>, FlowError> {
        let Some((key, digest)) = &self.named else { return Ok(None) };
        Ok(Some(Write::Keep(KeptAnswer {
            device: self.caller.device.id.clone(),
            key: key.clone(),
            digest: digest.clone(),
            answer: json(answer)?,
            expires_at: now.after(limits::KEPT_ANSWER),
        })))
    }

    /// Its answer; that of the other, if it came twice at the same time and the other was committed. Whatever this one
    /// failed of, it may have been that: a bound that the other came up to, a session that the other ended.
    pub(crate) async fn settle<T: DeserializeOwned>(
        &self,
        storage: &TenantStorage,
        done: Result<T, FlowError>,
    ) -> Result<T, FlowError> {
        match done {
            Ok(done) => Ok(done),
            Err(error) => self.answered(storage).await?.ok_or(error),
        }
    }
}

fn json(value: &impl Serialize) -> Result<String, ErrorCode> {
    serde_json::to_string(value).or(Err(ErrorCode::Internal))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use switchhook_core::row::Device;
    use switchhook_protocol::device_key::{Algorithm, DeviceKey, KeyBytes};
    use switchhook_storage::{Clock, Settings, Storage};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[tokio::test]
    async fn a_request_that_fails_beside_the_same_one_is_answered_like_that() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path().join("switchhook.db"), Clock::new(|| NOW));
        let storage = Storage::open(settings).await.unwrap();
        let (caller, key) = (caller(), "ring-1".parse().unwrap());
        let acme = storage.of(&caller.tenant);
        let repeat = Repeatable::of(&caller, Some(&key), &"ring bob").unwrap();
        let too_often = || Err(FlowError::too_often(Duration::from_secs(1)));

        let alone: Result<String, FlowError> = repeat.settle(&acme, too_often()).await;
        let kept = repeat.keep(&"rung", NOW).unwrap();
        acme.commit("invite", kept.into_iter().collect()).await.unwrap();
        let beside: Result<String, FlowError> = repeat.settle(&acme, too_often()).await;

        assert!(matches!(alone, Err(FlowError::Refused(body)) if body.code == ErrorCode::RateLimited));
        assert_eq!(beside.unwrap(), "rung");
        storage.close().await;
    }

    fn caller() -> Caller {
        let device = Device {
            id: "device-a".parse().unwrap(),
            application: "test".parse().unwrap(),
            kind: "phone".to_owned(),
            key: DeviceKey { algorithm: Algorithm::Ed25519, public: KeyBytes(vec![1; 32]) },
            enrolled_at: NOW,
            push_token_until: NOW,
            dials_from: None,
        };
        Caller { tenant: "acme".parse().unwrap(), device, from: None }
    }
}
