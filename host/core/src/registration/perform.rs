//! From a method's effects to rows: what is committed together with the attempt's state.
//!
//! The method says *what*; the secrets themselves are made here, so that no plugin ever sees one.
//! Texts, mails and requests go into the outbox, sealed, and are sent after the commit (DESIGN §2.1). Each family of
//! effects has a module of its own; [`perform`] names them all.

mod mail;
mod text;

use alloc::{string::String, vec::Vec};

use rand_core::CryptoRng;
use serde::{Serialize, de::DeserializeOwned};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{AttemptId, DeviceId, GatewayId},
    time::Timestamp,
};

pub use self::{
    mail::{MailContent, OutgoingMail, link_by_mail},
    text::{OutgoingSignature, OutgoingText},
};
use super::test_number::TestNumber;
use crate::{
    mint,
    policy::registration::{Effect, Fetch, Pair, ProfileAddress, Transition, WantedCredentials},
    row::{OutboxEntry, OutboxKind, OutboxState, Secret},
    seal::{KeyRing, Purpose},
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
    /// Whether the tenant has a mail server.
    pub mails: bool,
    /// When.
    pub now: Timestamp,
}

/// What is committed together with the attempt's state.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Performed {
    /// Secrets to check later.
    pub secrets: Vec<Secret>,
    /// Texts, mails and requests to send after the commit.
    pub outbox: Vec<OutboxEntry>,
    /// Short messages that the texts are made of.
    pub text_parts: u32,
    /// Pairs of the tenant's to change.
    pub pairs: Vec<Pair>,
    /// Identifiers to associate with the attempt's device.
    pub bound: Vec<EndpointId>,
    /// What becomes of the attempt's profile.
    pub profile: ForProfile,
    /// The handle of a password to compare; what comes of it is the next event.
    pub check: Option<String>,
    /// Fields to ask the device's user for.
    pub asked: Vec<String>,
    /// When the attempt is asked again.
    pub deadline: Option<Timestamp>,
    /// Whether the attempt is over.
    pub finished: bool,
    /// When the code that was sent expires.
    pub code_until: Option<Timestamp>,
}

/// What is committed to the profile that an attempt speaks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ForProfile {
    /// States of addresses.
    pub addresses: Vec<ProfileAddress>,
    /// Credentials to make.
    pub credentials: Vec<WantedCredentials>,
    /// Words for devices that asked about these addresses and have not heard.
    pub words: Vec<String>,
}

/// Performs the effects of a transition.
///
/// One that cannot be performed (no gateway, no mail server) refuses the whole step: half of it would be worse.
pub fn perform(
    facts: Performing<'_>,
    transition: &Transition,
    rng: &mut impl CryptoRng,
) -> Result<Performed, ErrorCode> {
    let mut performed = Performed::default();
    let to = &mut performed;
    for effect in &transition.effects {
        match effect {
            Effect::SendText(wanted) => facts.send_text(wanted, to, rng)?,
            Effect::SendSignature(wanted) => facts.send_signature(wanted, to, rng)?,
            Effect::SendCode(wanted) => facts.send_code(wanted, to, rng)?,
            Effect::SendMail(wanted) => facts.send_mail(wanted, to, rng)?,
            Effect::SendLink(wanted) => facts.send_link(wanted, to, rng)?,
            Effect::Fetch(wanted) => {
                let gateway = facts.gateways.answers.as_ref();
                to.outbox.push(facts.outgoing(OutboxKind::Fetch, gateway, wanted, rng)?);
            }
            Effect::Store(pair) => to.pairs.push(pair.clone()),
            Effect::Bind(endpoint) => to.bound.push(endpoint.clone()),
            Effect::Finish => to.finished = true,
            Effect::Ask(fields) => to.asked.clone_from(fields),
            Effect::CheckPassword(handle) => to.check = Some(handle.clone()),
            Effect::After(wait) => to.deadline = Some(facts.now.after(*wait)),
            Effect::SetAddressState(address) => to.profile.addresses.push(address.clone()),
            Effect::IssueCredentials(wanted) => to.profile.credentials.push(wanted.clone()),
            Effect::Notify(word) => to.profile.words.push(word.clone()),
        }
    }
    Ok(performed)
}

impl Performing<'_> {
    /// One of the attempt's.
    fn outgoing(
        &self,
        kind: OutboxKind,
        gateway: Option<&GatewayId>,
        what: &impl Serialize,
        rng: &mut impl CryptoRng,
    ) -> Result<OutboxEntry, ErrorCode> {
        entry(self.keys, (self.attempt, self.now), (kind, gateway), what, rng)
    }
}

/// An entry of the outbox, sealed.
fn entry(
    keys: &KeyRing,
    (attempt, now): (&AttemptId, Timestamp),
    (kind, gateway): (OutboxKind, Option<&GatewayId>),
    what: &impl Serialize,
    rng: &mut impl CryptoRng,
) -> Result<OutboxEntry, ErrorCode> {
    let plain = serde_json::to_vec(what).or(Err(ErrorCode::Internal))?;
    Ok(OutboxEntry {
        id: mint::message(rng),
        kind,
        attempt: attempt.clone(),
        gateway: gateway.cloned(),
        payload: keys.seal_bytes(Purpose::Outbox, &plain, rng),
        state: OutboxState::Queued,
        queued_at: now,
    })
}

/// Opens a text's payload.
pub fn open_outgoing(keys: &KeyRing, payload: &[u8]) -> Option<OutgoingText> {
    open(keys, payload)
}

/// Opens a mail's payload.
pub fn open_mail(keys: &KeyRing, payload: &[u8]) -> Option<OutgoingMail> {
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
        policy::registration::{Mail, Proof, Signature, State, Text},
        registration::{code, link, signature},
        seal::{RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn performed(effects: Vec<Effect>) -> (KeyRing, Result<Performed, ErrorCode>) {
        performed_with(&[], true, effects)
    }

    fn performed_with(
        test_numbers: &[TestNumber],
        mails: bool,
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
            mails,
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
        let (keys, performed) = performed_with(&test, true, effects);
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
    fn reg_7_a_links_token_stands_in_the_mail_and_nowhere_else() {
        let to: EndpointId = "bob@example.com".parse().unwrap();
        let proof = Proof { to: to.clone(), expires_in: Duration::from_hours(1) };
        let (keys, performed) = performed(vec![Effect::SendLink(proof)]);
        let performed = performed.unwrap();
        assert_eq!((performed.outbox[0].kind, &performed.outbox[0].gateway), (OutboxKind::Mail, &None));
        let mail = open_mail(&keys, &performed.outbox[0].payload).unwrap();
        let MailContent::Link { token } = mail.content else { panic!("no link") };
        assert_eq!(link::check(&keys, &performed.secrets[0], &token, NOW), Ok(()));
        assert_eq!((mail.to, &performed.secrets[0].endpoint), (to.clone(), &to));
        assert_eq!(open_outgoing(&keys, &performed.outbox[0].payload), None);
    }

    #[test]
    fn reg_7_without_a_mail_server_the_step_is_refused() {
        let to: EndpointId = "bob@example.com".parse().unwrap();
        let mail = Effect::SendMail(Mail { to: to.clone(), subject: "s".into(), text: "t".into() });
        let link = Effect::SendLink(Proof { to, expires_in: Duration::from_hours(1) });
        for effect in [mail, link] {
            assert_eq!(performed_with(&[], false, vec![effect]).1, Err(ErrorCode::NoMailServer));
        }
    }

    #[test]
    fn what_concerns_the_profile_is_left_to_the_steps_transaction() {
        let wait = Duration::from_mins(1);
        let effects =
            vec![Effect::Ask(vec!["badge".into()]), Effect::After(wait), Effect::Notify("validated".into())];
        let (_, performed) = performed(effects);
        let performed = performed.unwrap();
        assert_eq!((performed.asked, performed.deadline), (vec!["badge".into()], Some(NOW.after(wait))));
        assert_eq!(performed.profile.words, ["validated"]);
    }
}
