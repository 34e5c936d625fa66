//! From a method's effects to rows: what is committed together with the attempt's state.
//!
//! The method says *what*; the secrets themselves are made here, so that no plugin ever sees one.
//! Texts and requests go into the outbox, sealed, and are sent after the commit (DESIGN §2.1).

use alloc::{string::String, vec::Vec};
use core::fmt;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{AttemptId, DeviceId, GatewayId, PushToken},
    registration::signature_text,
    time::Timestamp,
};

use super::{
    code, signature,
    test_number::{self, TestNumber},
};
use crate::{
    mint,
    policy::registration::{Effect, Fetch, Pair, Proof, Transition},
    row::{OutboxEntry, OutboxKind, OutboxState, Secret},
    seal::{KeyRing, Purpose},
    sms,
    transit::choice::Gateways,
};

/// What a step is performed for.
#[derive(Debug, Clone, Copy)]
pub struct Performing<'a> {
    /// The tenant's keys.
    pub keys: &'a KeyRing,
    /// The attempt.
    pub attempt: &'a AttemptId,
    /// The device that it is for.
    pub device: &'a DeviceId,
    /// The gateways that texts go out by.
    pub gateways: &'a Gateways,
    /// Numbers that are nobody's: no text goes there.
    pub test_numbers: &'a [TestNumber],
    /// When.
    pub now: Timestamp,
}

/// What is committed together with the attempt's state.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Performed {
    /// Secrets to check later.
    pub secrets: Vec<Secret>,
    /// Texts and requests to send after the commit.
    pub outbox: Vec<OutboxEntry>,
    /// Short messages that the texts are made of.
    pub text_parts: u32,
    /// Pairs of the tenant's to change.
    pub pairs: Vec<Pair>,
    /// Identifiers to associate with the attempt's device.
    pub bound: Vec<EndpointId>,
    /// Whether the attempt is over.
    pub finished: bool,
    /// When the code that was sent expires.
    pub code_until: Option<Timestamp>,
}

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

/// Performs the effects of a transition.
///
/// An effect that this host does not offer refuses the whole step: half of it would be worse.
pub fn perform(
    facts: Performing<'_>,
    transition: &Transition,
    rng: &mut impl CryptoRng,
) -> Result<Performed, ErrorCode> {
    let mut performed = Performed::default();
    for effect in &transition.effects {
        match effect {
            Effect::SendText(text) => {
                let text = OutgoingText { to: text.to.clone(), text: text.text.clone(), signature: None };
                facts.send_text(&text, &mut performed, rng)?;
            }
            Effect::SendSignature(wanted) => facts.send_signature(wanted, &mut performed, rng)?,
            Effect::SendCode(wanted) => {
                let made = facts.code(wanted, rng);
                let text = alloc::format!("{} is your code.", made.code);
                let text = OutgoingText { to: wanted.to.clone(), text, signature: None };
                performed.code_until = Some(made.record.expires_at);
                facts.send_text(&text, &mut performed, rng)?;
                performed.secrets.push(made.record);
            }
            Effect::Fetch(fetch) => {
                performed.outbox.push(facts.outgoing(
                    OutboxKind::Fetch,
                    facts.gateways.answers.as_ref(),
                    fetch,
                    rng,
                )?);
            }
            Effect::Store(pair) => performed.pairs.push(pair.clone()),
            Effect::Bind(endpoint) => performed.bound.push(endpoint.clone()),
            Effect::Finish => performed.finished = true,
            Effect::SendMail(_)
            | Effect::SendLink(_)
            | Effect::Ask(_)
            | Effect::CheckPassword(_)
            | Effect::After(_)
            | Effect::SetAddressState(_)
            | Effect::IssueCredentials(_)
            | Effect::Notify(_) => return Err(ErrorCode::Unsupported),
        }
    }
    Ok(performed)
}

impl Performing<'_> {
    fn code(&self, wanted: &Proof, rng: &mut impl CryptoRng) -> code::Made {
        let (about, life) = ((self.attempt, self.device, &wanted.to), (self.now, wanted.expires_in));
        match test_number::code_of(self.test_numbers, &wanted.to) {
            Some(fixed) => code::fixed(self.keys, fixed.into(), about, life),
            None => code::make(self.keys, about, life, rng),
        }
    }

    fn send_signature(
        &self,
        wanted: &crate::policy::registration::Signature,
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
        self.send_text(&text, performed, rng)?;
        performed.secrets.push(made.record);
        Ok(())
    }

    fn send_text(
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

    fn outgoing(
        &self,
        kind: OutboxKind,
        gateway: Option<&GatewayId>,
        what: &impl Serialize,
        rng: &mut impl CryptoRng,
    ) -> Result<OutboxEntry, ErrorCode> {
        let plain = serde_json::to_vec(what).or(Err(ErrorCode::Internal))?;
        Ok(OutboxEntry {
            id: mint::message(rng),
            kind,
            attempt: self.attempt.clone(),
            gateway: gateway.cloned(),
            payload: self.keys.seal_bytes(Purpose::Outbox, &plain, rng),
            state: OutboxState::Queued,
            queued_at: self.now,
        })
    }
}

/// Opens a text's payload.
pub fn open_outgoing(keys: &KeyRing, payload: &[u8]) -> Option<OutgoingText> {
    open(keys, payload)
}

/// Opens a request's payload.
pub fn open_fetch(keys: &KeyRing, payload: &[u8]) -> Option<Fetch> {
    open(keys, payload)
}

fn open<T: DeserializeOwned>(keys: &KeyRing, payload: &[u8]) -> Option<T> {
    let plain = keys.open_bytes(Purpose::Outbox, payload).ok()?;
    serde_json::from_slice(&plain).ok()
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::time::Duration;

    use switchhook_protocol::{id::TenantId, registration::parse_signature_text};

    use super::*;
    use crate::{
        policy::registration::{Mail, Signature, State, Text},
        seal::{RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn performed(effects: Vec<Effect>) -> (KeyRing, Result<Performed, ErrorCode>) {
        performed_with(&[], effects)
    }

    fn performed_with(
        test_numbers: &[TestNumber],
        effects: Vec<Effect>,
    ) -> (KeyRing, Result<Performed, ErrorCode>) {
        let tenant: TenantId = "acme".parse().unwrap();
        let keys = RootKeys::new([1; 32], []).ring(Scope::Tenant(&tenant));
        let (attempt, device) = ("attempt".parse().unwrap(), "device-a".parse().unwrap());
        let gateways = Gateways { answers: Some("sandbox".parse().unwrap()), all: vec![] };
        let facts = Performing {
            keys: &keys,
            attempt: &attempt,
            device: &device,
            gateways: &gateways,
            test_numbers,
            now: NOW,
        };
        let expires_in = Duration::from_mins(30);
        let transition = Transition { state: State::default(), effects, expires_in };
        let performed = perform(facts, &transition, &mut TestRng(4));
        (keys, performed)
    }

    #[test]
    fn reg_3_a_signature_goes_to_the_transit_with_number_token_and_device() {
        let (keys, performed) = performed(vec![Effect::SendSignature(Signature {
            to: "+15550100".parse().unwrap(),
            push_token: "token-a".parse().unwrap(),
            device: "device-a".parse().unwrap(),
            expires_in: Duration::from_mins(10),
        })]);
        let performed = performed.unwrap();
        let text = open_outgoing(&keys, &performed.outbox[0].payload).unwrap();
        let signature = text.signature.unwrap();
        let told = parse_signature_text(&text.text).unwrap();
        assert_eq!(told, ("+15550100".parse().unwrap(), signature.signature.clone()));
        assert_eq!(signature.device.as_str(), "device-a");
        assert_eq!(signature::record_id(&signature.signature), Ok(performed.secrets[0].id.clone()));
        assert!(text.text.len() <= 160, "one SMS");
    }

    #[test]
    fn reg_5_a_code_stands_in_the_text_and_nowhere_else() {
        let to: EndpointId = "+15550100".parse().unwrap();
        let expires_in = Duration::from_mins(5);
        let (keys, performed) = performed(vec![Effect::SendCode(Proof { to, expires_in })]);
        let performed = performed.unwrap();
        let text = open_outgoing(&keys, &performed.outbox[0].payload).unwrap().text;
        let (code, _) = text.split_once(' ').unwrap();
        assert_eq!(code::check(&keys, &performed.secrets[0], code, NOW), code::Checked::Right);
        assert_eq!(performed.code_until, Some(NOW.after(expires_in)));
    }

    #[test]
    fn a_test_number_has_its_own_code_and_gets_no_text() {
        let to: EndpointId = "+15550100".parse().unwrap();
        let expires_in = Duration::from_mins(5);
        let test = [TestNumber { number: to.clone(), code: "24681357".into() }];
        let text = Text { to: to.clone(), text: "welcome".into() };
        let effects = vec![Effect::SendCode(Proof { to, expires_in }), Effect::SendText(text)];
        let (keys, performed) = performed_with(&test, effects);
        let performed = performed.unwrap();
        assert_eq!((performed.outbox, performed.text_parts), (vec![], 0));
        assert_eq!(code::check(&keys, &performed.secrets[0], "24681357", NOW), code::Checked::Right);
    }

    #[test]
    fn a_request_waits_sealed_until_its_step_is_committed() {
        let fetch = Fetch { id: "crm".into(), url: "https://crm.test/".into(), body: b"{}".to_vec() };
        let (keys, performed) = performed(vec![Effect::Fetch(fetch.clone())]);
        let performed = performed.unwrap();
        assert_eq!(performed.outbox[0].kind, OutboxKind::Fetch);
        assert_eq!(open_fetch(&keys, &performed.outbox[0].payload), Some(fetch));
        assert_eq!(open_outgoing(&keys, &performed.outbox[0].payload), None);
    }

    #[test]
    fn an_effect_that_is_not_offered_refuses_the_step() {
        let to = "bob@example.com".parse().unwrap();
        let mail = Effect::SendMail(Mail { to, subject: "s".into(), text: "t".into() });
        assert_eq!(performed(vec![mail]).1, Err(ErrorCode::Unsupported));
    }
}
