//! The generic gateway's requests: JSON, signed with their time.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use switchhook_core::transit::{SIGNATURE_HEADER, verify};
use switchhook_protocol::{error::ErrorCode, id::MessageId, time::Timestamp};

use super::Posted;
use crate::{flows::text::TextReport, http::problem::Problem};

/// What became of a text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    /// The host's id of the text.
    id: MessageId,
    outcome: Outcome,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Delivered,
    Failed,
}

/// The text that is reported; a repeat has the same body.
pub(super) fn report(posted: &Posted, now: Timestamp) -> Result<(TextReport, [u8; 32]), Problem> {
    check(posted, now)?;
    Ok((read(&posted.body)?, Sha256::digest(&posted.body).into()))
}

/// The text that the receipt is about, and whether it arrived.
pub(super) fn receipt(posted: &Posted, now: Timestamp) -> Result<Option<(MessageId, bool)>, Problem> {
    check(posted, now)?;
    let Receipt { id, outcome } = read(&posted.body)?;
    Ok(Some((id, outcome == Outcome::Delivered)))
}

fn check(posted: &Posted, now: Timestamp) -> Result<(), Problem> {
    let signed = verify(&posted.secret, &posted.body, posted.header(SIGNATURE_HEADER), now);
    Ok(signed.or(Err(ErrorCode::BadSignature))?)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::new(ErrorCode::Malformed, error.to_string()))
}
