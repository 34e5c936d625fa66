//! Texts: what a method says, a code, or a signature.

use alloc::string::String;
use core::fmt;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{DeviceId, PushToken},
    registration::signature_text,
};

use super::{Performed, Performing};
use crate::{
    policy::registration::{Proof, Signature, Text},
    registration::{code, signature, test_number},
    row::OutboxKind,
    sms,
};

/// A text on its way to a gateway.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingText {
    /// To whom.
    pub to: EndpointId,
    /// What it says.
    pub text: String,
    /// For a gateway that composes the text itself (REG-3): the signature and what it was made for.
    pub signature: Option<OutgoingSignature>,
}

/// A signature on its way to a gateway.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingSignature {
    /// The signature.
    pub signature: String,
    /// The push token in the device's text.
    pub push_token: PushToken,
    /// The device id in the device's text.
    pub device: DeviceId,
}

/// Masked: it holds a number and a secret.
impl fmt::Debug for OutgoingText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingText").field("to", &self.to).finish_non_exhaustive()
    }
}

/// Masked: it is a secret.
impl fmt::Debug for OutgoingSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingSignature").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Performing<'_> {
    pub(super) fn send_text(
        &self,
        wanted: &Text,
        performed: &mut Performed,
        rng: &mut impl CryptoRng,
    ) -> Result<(), ErrorCode> {
        let text = OutgoingText { to: wanted.to.clone(), text: wanted.text.clone(), signature: None };
        self.text(&text, performed, rng)
    }

    pub(super) fn send_code(
        &self,
        wanted: &Proof,
        performed: &mut Performed,
        rng: &mut impl CryptoRng,
    ) -> Result<(), ErrorCode> {
        let made = self.code(wanted, rng);
        let text = alloc::format!("{} is your code.", made.code);
        let text = OutgoingText { to: wanted.to.clone(), text, signature: None };
        performed.code_until = Some(made.record.expires_at);
        self.text(&text, performed, rng)?;
        performed.secrets.push(made.record);
        Ok(())
    }

    pub(super) fn send_signature(
        &self,
        wanted: &Signature,
        performed: &mut Performed,
        rng: &mut impl CryptoRng,
    ) -> Result<(), ErrorCode> {
        let fields =
            signature::Fields { number: &wanted.to, push_token: &wanted.push_token, device: &wanted.device };
        let life = (self.now, wanted.expires_in);
        let made = signature::make(self.keys, fields, self.attempt, life, rng);
        let text = OutgoingText {
            to: wanted.to.clone(),
            text: signature_text(&wanted.to, &made.signature),
            signature: Some(OutgoingSignature {
                signature: made.signature,
                push_token: wanted.push_token.clone(),
                device: wanted.device.clone(),
            }),
        };
        self.text(&text, performed, rng)?;
        performed.secrets.push(made.record);
        Ok(())
    }

    fn code(&self, wanted: &Proof, rng: &mut impl CryptoRng) -> code::Made {
        let (about, life) = ((self.attempt, Some(self.device), &wanted.to), (self.now, wanted.expires_in));
        match test_number::code_of(self.test_numbers, &wanted.to) {
            Some(fixed) => code::fixed(self.keys, fixed.into(), about, life),
            None => code::make(self.keys, about, life, rng),
        }
    }

    fn text(
        &self,
        text: &OutgoingText,
        performed: &mut Performed,
        rng: &mut impl CryptoRng,
    ) -> Result<(), ErrorCode> {
        if test_number::code_of(self.test_numbers, &text.to).is_some() {
            return Ok(());
        }
        let gateway = self.gateways.choose(&text.to).ok_or(ErrorCode::NoGateway)?;
        performed.outbox.push(self.outgoing(OutboxKind::Text, Some(gateway), text, rng)?);
        let parts = u32::try_from(sms::split(&text.text).parts.len()).unwrap_or(u32::MAX);
        performed.text_parts = performed.text_parts.saturating_add(parts);
        Ok(())
    }
}
