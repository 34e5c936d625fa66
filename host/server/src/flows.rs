//! What happens on each message: load, ask, decide, commit, wake.
//!
//! One short function a message. Nothing is sent before it is committed: what the outside is to see
//! goes into mailboxes and the outbox with the state that it belongs to.

pub(crate) mod accept;
pub(crate) mod answer;
mod block;
pub(crate) mod carriers;
mod connection_data;
pub(crate) mod enrol;
pub(crate) mod hello;
pub(crate) mod invite;
mod late;
mod number;
mod pending;
pub(crate) mod perform;
pub(crate) mod prove;
pub(crate) mod push_token;
mod reach;
pub(crate) mod receipt;
pub(crate) mod registration;
pub(crate) mod relay;
mod repeat;
mod reroute;
pub(crate) mod ring;
mod route;
pub(crate) mod session;
pub(crate) mod signal;
pub(crate) mod sync;
pub(crate) mod take;
pub(crate) mod text;

use std::time::Duration;

use rand::RngExt as _;
use switchhook_core::{row::Device, subscriber::Subscriber};
use switchhook_protocol::{
    error::{ErrorBody, ErrorCode},
    id::TenantId,
    time::millis,
};
use switchhook_storage::StorageError;
use tracing::error;

use crate::{causes::Causes, limits};

/// Who asks: a device that has proven its key.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) tenant: TenantId,
    pub(crate) device: Device,
    /// Behind which address it asks; none where the host goes on without being asked.
    pub(crate) from: Option<Subscriber>,
}

/// Why a flow did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlowError {
    /// It may not be; nothing is stored.
    #[error("refused: {}", .0.code)]
    Refused(ErrorBody),
    /// Storage could not; nothing is stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<ErrorCode> for FlowError {
    fn from(code: ErrorCode) -> Self {
        Self::Refused(code.into())
    }
}

impl FlowError {
    /// In the plugin's or the host's own words.
    pub(crate) fn refused(code: ErrorCode, message: &str) -> Self {
        Self::Refused(ErrorBody { message: message.to_owned(), ..code.into() })
    }

    /// Too many of these; the next one after this time.
    pub(crate) fn too_often(wait: Duration) -> Self {
        Self::Refused(ErrorBody {
            retry_after_ms: Some(millis(wait).max(1)),
            ..ErrorCode::RateLimited.into()
        })
    }

    /// There is too much to do; ask again after a while, not all at once.
    pub(crate) fn overloaded() -> Self {
        let wait = rand::rng().random_range(limits::OVERLOADED..limits::OVERLOADED * 2);
        Self::Refused(ErrorBody { retry_after_ms: Some(millis(wait)), ..ErrorCode::Overloaded.into() })
    }

    /// Whether it is the host's own trouble of a moment: the same may be done later.
    pub(crate) const fn passes(&self) -> bool {
        match self {
            Self::Refused(body) => matches!(body.code, ErrorCode::Overloaded),
            Self::Storage(trouble) => match trouble {
                StorageError::Away(_)
                | StorageError::Busy
                | StorageError::Abandoned
                | StorageError::Closed => true,
                // What is stored does not change by waiting.
                StorageError::Corrupt { .. }
                | StorageError::Conflict { .. }
                | StorageError::NoSuchDevice { .. } => false,
            },
        }
    }

    /// As it crosses the wire; what is the host's own trouble is logged here, once.
    pub(crate) fn into_body(self, flow: &'static str) -> ErrorBody {
        match self {
            Self::Refused(body) => body,
            Self::Storage(StorageError::Busy) => Self::overloaded().into_body(flow),
            Self::Storage(trouble) => {
                error!(flow, error = %Causes(&trouble), "storage failed a flow");
                ErrorCode::Internal.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_is_said_for_good() {
        let corrupt = StorageError::Corrupt { table: "attempts", row: "one".to_owned() };
        for trouble in [StorageError::Busy, StorageError::Abandoned, StorageError::Closed] {
            assert!(FlowError::from(trouble).passes());
        }
        assert!(FlowError::overloaded().passes());
        assert!(!FlowError::from(corrupt).passes());
        assert!(!FlowError::from(ErrorCode::Conflict).passes());
        assert!(!FlowError::from(ErrorCode::RegistrationRefused).passes());
    }
}
