//! Registration by SMS: how a device learns its own number, and proves it (REG-2 to REG-4).
//!
//! The device sends [`begin_text`] to the number that its [carrier bundle](crate::carriers) has for its SIM. The host's SMS comes back with number
//! and signature; [`keep_text`] puts both into the identity. The application stores the identity,
//! and only then says [`validate`]: whatever dies in between, the next start goes on from there.
//! Saying it again after success is answered with the same success.

use switchhook_protocol::{
    endpoint::EndpointId,
    event::RegisteredElsewhere,
    registration::{RegisterValidate, RegistrationProgress, parse_signature_text, registration_text},
};

use crate::{
    client::{CallError, Client},
    identity::{Identity, Registration},
};

/// The text to send, to [`identity.carriers.number`](switchhook_protocol::carrier::CarrierBundle::number).
pub fn begin_text(identity: &Identity) -> String {
    registration_text(&identity.push_token, &identity.device)
}

/// Takes an incoming SMS; the number it registers, or none if it is something else.
///
/// Store the identity before going on. A new signature takes the place of an older one.
pub fn keep_text(identity: &mut Identity, text: &str) -> Option<EndpointId> {
    let (number, signature) = parse_signature_text(text)?;
    let same = |known: &Registration| known.number == number && known.signature == signature;
    if identity.registrations.iter().any(same) {
        return Some(number);
    }
    identity.registrations.retain(|known| known.number != number);
    identity.registrations.push(Registration {
        number: number.clone(),
        push_token: identity.push_token.clone(),
        device: identity.device.clone(),
        signature,
        confirmed: false,
    });
    Some(number)
}

/// Takes notice of another device that has proven an identifier of this one's; whether the identity has changed by that, and
/// is to be stored: what does not reach this device any more is not said to the host again.
pub fn heed(identity: &mut Identity, word: &RegisteredElsewhere) -> bool {
    let before = identity.registrations.len();
    identity.registrations.retain(|known| word.kept || known.number != word.endpoint);
    identity.registrations.len() < before
}

/// Says to the host what the SMS told; to be repeated at each start for what is not yet confirmed.
///
/// Returns what the host has confirmed by this call; store the identity after it. What the host
/// refuses is dropped from the identity: that signature will never be good.
pub async fn validate(client: &Client, identity: &mut Identity) -> Result<Vec<EndpointId>, CallError> {
    let mut confirmed = Vec::new();
    let (mut refused, mut trouble) = (Vec::new(), None);
    for registration in identity.registrations.iter_mut().filter(|known| !known.confirmed) {
        match client.register_validate(&registration.request()).await {
            Ok(RegistrationProgress::Registered { endpoint }) => {
                registration.confirmed = true;
                confirmed.push(endpoint);
            }
            Ok(_) => {}
            Err(CallError::Refused(error)) if error.retry_after_ms.is_none() && error.code.status() < 500 => {
                refused.push(registration.number.clone());
                trouble = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    identity.registrations.retain(|known| known.confirmed || !refused.contains(&known.number));
    trouble.map_or(Ok(confirmed), |error| Err(CallError::Refused(error)))
}

impl Registration {
    fn request(&self) -> RegisterValidate {
        RegisterValidate {
            number: self.number.clone(),
            push_token: self.push_token.clone(),
            device: self.device.clone(),
            signature: self.signature.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use switchhook_protocol::carrier::CarrierBundle;

    use super::*;
    use crate::identity::DeviceKey;

    fn identity() -> Identity {
        Identity {
            key: DeviceKey::generate(&mut rand::rng()),
            device: "d1".parse().unwrap(),
            push_token: "t1".parse().unwrap(),
            registrations: Vec::new(),
            carriers: CarrierBundle::default(),
        }
    }

    #[test]
    fn reg_2_the_text_holds_push_token_and_device_id() {
        assert_eq!(begin_text(&identity()), "SWH t1 d1");
    }

    #[test]
    fn reg_4_number_and_signature_are_kept_once() {
        let mut identity = identity();
        assert_eq!(keep_text(&mut identity, "your parcel is waiting"), None);
        let number = "+15550100".parse().unwrap();
        for text in ["SWH1 +15550100 ONE", "SWH1 +15550100 TWO", "SWH1 +15550100 TWO"] {
            assert_eq!(keep_text(&mut identity, text).as_ref(), Some(&number));
        }
        let kept: Vec<&str> = identity.registrations.iter().map(|known| known.signature.as_str()).collect();
        assert_eq!(kept, ["TWO"]);
    }

    #[test]
    fn reg_11_what_has_moved_to_another_device_is_forgotten_and_what_it_shares_is_kept() {
        let mut identity = identity();
        keep_text(&mut identity, "SWH1 +15550100 ONE");
        let mut word = RegisteredElsewhere { endpoint: "+15550100".parse().unwrap(), kept: true };
        assert!(!heed(&mut identity, &word));
        word.kept = false;
        assert!(heed(&mut identity, &word) && identity.registrations.is_empty());
        assert!(!heed(&mut identity, &word));
    }

    #[test]
    fn a_signature_that_comes_twice_does_not_undo_its_confirmation() {
        let mut identity = identity();
        keep_text(&mut identity, "SWH1 +15550100 ONE");
        identity.registrations[0].confirmed = true;
        keep_text(&mut identity, "SWH1 +15550100 ONE");
        assert!(identity.registrations[0].confirmed);
    }
}
