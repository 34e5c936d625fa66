//! Twilio's webhooks: forms, signed over the address that Twilio asks.

use sha2::{Digest as _, Sha256};
use switchhook_core::transit::twilio::{Form, Received, SIGNATURE_HEADER, Status};
use switchhook_protocol::{
    error::ErrorCode,
    id::{GatewayId, MessageId, TenantId},
};

use super::Posted;
use crate::{flows::text::TextReport, http::problem::Problem, settings::PublicUrl};

/// The answer by which Twilio sends nothing back.
pub(super) const NOTHING_TO_SAY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

/// Before the id of the text that a receipt is about.
const TEXT: &str = "text=";

/// Where Twilio tells what becomes of a text.
pub(crate) fn status_url(
    web_url: &PublicUrl,
    tenant: &TenantId,
    gateway: &GatewayId,
    text: &MessageId,
) -> String {
    web_url.of(&format!("/v1/{tenant}/transits/{gateway}/receipts?{TEXT}{text}"))
}

/// The text that is reported; a repeat says the same, whatever else Twilio adds to it.
pub(super) fn report(
    posted: &Posted,
    web_url: Option<&PublicUrl>,
) -> Result<(TextReport, [u8; 32]), Problem> {
    let received = form(posted, web_url)?.received();
    let Received { id, from, to, text } = received.ok_or_else(|| {
        Problem::new(ErrorCode::Malformed, "MessageSid, From (a phone number), To and Body are needed")
    })?;
    let mut digest = Sha256::new();
    for part in [from.reveal(), &to, &text] {
        digest.update(Sha256::digest(part));
    }
    Ok((TextReport { id, from, to, text }, digest.finalize().into()))
}

/// The text that the receipt is about, and whether it arrived; none while it is on its way.
pub(super) fn receipt(
    posted: &Posted,
    web_url: Option<&PublicUrl>,
) -> Result<Option<(MessageId, bool)>, Problem> {
    let status = form(posted, web_url)?.status();
    let text = posted.uri.query().and_then(|query| query.strip_prefix(TEXT)?.parse().ok());
    match (status, text) {
        (Some(Status::Underway), Some(_)) => Ok(None),
        (Some(Status::Delivered), Some(text)) => Ok(Some((text, true))),
        (Some(Status::Failed), Some(text)) => Ok(Some((text, false))),
        _ => Err(Problem::new(ErrorCode::Malformed, "a text and its MessageStatus are needed")),
    }
}

fn form(posted: &Posted, web_url: Option<&PublicUrl>) -> Result<Form, Problem> {
    let web_url = web_url
        .ok_or_else(|| Problem::new(ErrorCode::BadSignature, "the server's settings have no http.web_url"))?;
    let path = posted.uri.path_and_query().map_or("/", |path| path.as_str());
    let form = Form::parse(&posted.body);
    let signed = form.verify(&posted.secret, &web_url.of(path), posted.header(SIGNATURE_HEADER));
    signed.or(Err(ErrorCode::BadSignature))?;
    Ok(form)
}
