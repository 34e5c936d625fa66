//! Requests that are sent again when the connection ends before their answer.
//!
//! Each has an idempotency key, so that what it asks for happens once: the host answers the second with what it
//! answered the first. An application that wants to ask again by itself, after a deadline or in its next life,
//! names a key of its own and keeps it.

use data_encoding::BASE32_NOPAD;
use rand::Rng as _;
use switchhook_protocol::{
    call::{Call as Operation, Done},
    id::IdempotencyKey,
    invitation::{Invite, InviteStatus},
    session::SessionUpdate,
};
use tokio::time::Instant;

use crate::{
    client::{CallError, Client},
    limits,
};

impl Client {
    /// Rings people (INV-1), once, also if the connection is lost on the way.
    pub async fn invite(&self, request: &Invite) -> Result<InviteStatus, CallError> {
        let idempotency_key = key(request.idempotency_key.as_ref())?;
        self.insist(&Invite { idempotency_key, ..request.clone() }).await
    }

    /// Tells everybody of the session that something has changed (INV-8), once, also if the connection is
    /// lost on the way.
    pub async fn session_update(&self, request: &SessionUpdate) -> Result<Done, CallError> {
        let idempotency_key = key(request.idempotency_key.as_ref())?;
        self.insist(&SessionUpdate { idempotency_key, ..request.clone() }).await
    }

    /// Asks on one connection after the other; all have the time of one request.
    async fn insist<C: Operation + Sync>(&self, operation: &C) -> Result<C::Answer, CallError> {
        let deadline = Instant::now() + limits::ANSWER;
        loop {
            match self.call_by(deadline, operation).await {
                Err(CallError::ConnectionLost) => {}
                answer => return answer,
            }
        }
    }
}

/// The application's, or a new one of 128 random bits.
fn key(own: Option<&IdempotencyKey>) -> Result<Option<IdempotencyKey>, CallError> {
    if let Some(own) = own {
        return Ok(Some(own.clone()));
    }
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    // Base32 is an id.
    BASE32_NOPAD.encode(&bytes).parse().map(Some).map_err(|_invalid| CallError::Malformed)
}
