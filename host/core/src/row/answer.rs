//! Answers to requests that may be sent again.

use alloc::string::String;

use switchhook_protocol::{
    id::{DeviceId, IdempotencyKey},
    time::Timestamp,
};

/// What a device's request was answered with; a repeat of its key gets the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Whose request.
    pub device: DeviceId,
    /// The request's.
    pub key: IdempotencyKey,
    /// SHA-256 of the request, hexadecimal: another request with this key is a conflict.
    pub digest: String,
    /// As JSON.
    pub answer: String,
    /// It may be forgotten after this.
    pub expires_at: Timestamp,
}
