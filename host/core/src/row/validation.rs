//! Mail addresses that applications have validated (REG-18).

use switchhook_protocol::{
    endpoint::EndpointId,
    id::{ApplicationId, AttemptId, ValidationId},
    time::Timestamp,
};

/// A mail address that an application has the host validate, for no device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Whose it is.
    pub application: ApplicationId,
    /// The application's own name for it.
    pub id: ValidationId,
    /// Whose the mail and its token are, as a registration's would be its attempt's.
    pub attempt: AttemptId,
    /// What is to be proven.
    pub address: EndpointId,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Until when the token counts.
    pub expires_at: Timestamp,
    /// When the token came back.
    pub validated_at: Option<Timestamp>,
}

/// How far a validation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The token has not come back, and may.
    Waiting,
    /// Whoever reads the address's mail has brought the token back.
    Validated,
    /// The token did not come back in time.
    Expired,
}

impl Validation {
    /// How far it is by now.
    pub fn progress(&self, now: Timestamp) -> Progress {
        match self.validated_at {
            Some(_) => Progress::Validated,
            None if self.expires_at <= now => Progress::Expired,
            None => Progress::Waiting,
        }
    }
}
