//! What caused a step: committed in its transaction, or nothing of either is.

use switchhook_core::row::{Deadline, Secret, TransitAnswer};
use switchhook_protocol::{error::ErrorCode, id::MessageId, time::Timestamp};
use switchhook_storage::{StorageError, Transaction};

use super::Undone;
use crate::{flows::text, outbox::Onward};

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
    /// The effect of which the method hears goes on; a conflict if it cannot, since then more has become of it than the
    /// method would hear.
    Settle {
        entry: MessageId,
        onward: Onward,
    },
    /// This deadline is claimed; a conflict if somebody else has claimed it.
    Deadline(Deadline),
}

impl Beside {
    pub(super) async fn commit(self, tx: &mut Transaction<'_>, now: Timestamp) -> Result<(), Undone> {
        let done = match self {
            Self::Nothing => return Ok(()),
            Self::Use(secret) => return use_up(tx, &secret, now).await,
            Self::Answer { answer, parts } => match text::put_answer(tx, &answer, parts.as_deref()).await {
                Err(StorageError::Conflict { .. }) => false,
                done => return Ok(done?),
            },
            Self::Settle { entry, onward } => onward.go(tx, &entry, now).await?,
            Self::Deadline(deadline) => tx.claim_deadline(&deadline).await?,
        };
        if done { Ok(()) } else { Err(Undone::Failed(ErrorCode::Conflict.into())) }
    }
}

/// Uses a secret, and counts the proof.
async fn use_up(tx: &mut Transaction<'_>, secret: &Secret, now: Timestamp) -> Result<(), Undone> {
    if !tx.use_secret(&secret.id, secret.kind, now).await? {
        return Err(Undone::Failed(ErrorCode::RegistrationExpired.into()));
    }
    Ok(tx.count_proof(&secret.attempt, &secret.endpoint, now).await?)
}
