//! Registration: proving an endpoint identifier (REG).

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    endpoint::EndpointId,
    id::{ApplicationId, AttemptId, DeviceId, MethodName, PushToken},
    time::Timestamp,
};

mod profile;

pub use self::profile::{AddressProgress, AddressState, Credentials, Scope, Secrecy};

/// `register.begin`: begin a registration by a method of the tenant (REG-5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterBegin {
    /// Which method.
    pub method: MethodName,
    /// What the user filled in; names are the method's.
    pub fields: BTreeMap<String, String>,
}

/// How far an attempt got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RegistrationProgress {
    /// A code is on its way; send it by `register.code`.
    CodeSent {
        /// The attempt to name in `register.code`.
        attempt: AttemptId,
        /// How long the code may be used, in milliseconds.
        expires_in_ms: u64,
    },
    /// More is asked of the user.
    Asked {
        /// The attempt.
        attempt: AttemptId,
        /// Names of the fields to fill in, in `register.answer`.
        fields: Vec<String>,
        /// How far each address of the request is: what is validated waits for its user, the others for a mail.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        addresses: Vec<AddressProgress>,
    },
    /// Credentials of this device, to be stored by its application.
    Issued(Credentials),
    /// The attempt waits for something outside.
    Pending {
        /// The attempt.
        attempt: AttemptId,
    },
    /// The attempt is over, and nothing was registered by it.
    Ended {
        /// The attempt.
        attempt: AttemptId,
    },
    /// The identifier is registered to this device.
    Registered {
        /// What was registered.
        endpoint: EndpointId,
    },
}

/// `register.answer`: what the user filled in when an attempt asked for more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterAnswer {
    /// The attempt that asked.
    pub attempt: AttemptId,
    /// The fields by the names that were asked for.
    pub fields: BTreeMap<String, String>,
}

/// `register.code`: the code that came to the number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterCode {
    /// The attempt.
    pub attempt: AttemptId,
    /// What the user typed.
    pub code: String,
}

/// `register.validate`: the signature that came by SMS, with all it was made over (REG-4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterValidate {
    /// The number, as the SMS told it.
    pub number: EndpointId,
    /// The push token in the device's own SMS.
    pub push_token: PushToken,
    /// The device id in the device's own SMS.
    pub device: DeviceId,
    /// The signature, as the SMS told it.
    pub signature: String,
}

/// `register.link`: the token of a link that came by mail, found by the client itself (REG-8).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterLink {
    /// The address that the mail came to: a token for another one does not count.
    pub address: EndpointId,
    /// The token: in the header `Switchhook-Token`, and in the link.
    pub token: String,
}

/// Masked: the token is a secret.
impl fmt::Debug for RegisterLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterLink").field("address", &self.address).finish_non_exhaustive()
    }
}

/// `register.list`: the identifiers of this device, and how it got them (REG-11).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterList {}

/// Answer to `register.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationList {
    /// In the order of the identifiers.
    pub registrations: Vec<HeldRegistration>,
}

/// An identifier of this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRegistration {
    /// The identifier.
    pub endpoint: EndpointId,
    /// For which application.
    pub application: ApplicationId,
    /// How it was proven; `direct` if an authorised application said so (REG-16).
    pub method: MethodName,
    /// When it was last proven, in milliseconds since 1970.
    pub registered_at: Timestamp,
}

/// `register.revoke`: an identifier no longer reaches this device (REG-11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterRevoke {
    /// The identifier.
    pub endpoint: EndpointId,
}

/// When a client registers again, without a person: the tenant's setting (REG-13).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegisterAgain {
    /// Whenever the device was switched on: another SIM may be in it.
    EachPowerOn,
    /// Whenever the application starts.
    #[default]
    EachStart,
    /// Only as long as nothing is registered.
    FirstTime,
    /// Only when its user wants it.
    OnWish,
}

/// What makes a client think of registering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// The first start of the application after the device was switched on.
    PowerOn,
    /// Another start of the application.
    Start,
    /// Its user wants it.
    Wish,
}

impl RegisterAgain {
    /// Whether a client that has (or has not) an identifier registers at this occasion.
    pub const fn registers(self, occasion: Occasion, registered: bool) -> bool {
        match (self, occasion) {
            (_, Occasion::Wish) | (Self::EachStart, _) | (Self::EachPowerOn, Occasion::PowerOn) => true,
            (Self::EachPowerOn | Self::FirstTime, Occasion::Start) | (Self::FirstTime, Occasion::PowerOn) => {
                !registered
            }
            (Self::OnWish, Occasion::PowerOn | Occasion::Start) => false,
        }
    }
}

/// The text that a device sends to begin an SMS registration (REG-2).
pub fn registration_text(push_token: &PushToken, device: &DeviceId) -> String {
    alloc::format!("SWH {} {}", push_token.as_str(), device)
}

/// The text that brings number and signature to the device (REG-3).
pub fn signature_text(number: &EndpointId, signature: &str) -> String {
    alloc::format!("SWH1 {} {signature}", number.reveal())
}

/// Reads [`signature_text`]; none if the text is something else.
pub fn parse_signature_text(text: &str) -> Option<(EndpointId, String)> {
    let mut words = text.split_ascii_whitespace();
    if words.next() != Some("SWH1") {
        return None;
    }
    let number = words.next()?.parse().ok()?;
    let signature = words.next()?.into();
    words.next().is_none().then_some((number, signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_13_a_client_registers_again_when_the_tenant_wants_it_and_always_on_its_users_wish() {
        use Occasion::{PowerOn, Start, Wish};
        use RegisterAgain::{EachPowerOn, EachStart, FirstTime, OnWish};
        let registered = [
            (EachPowerOn, [true, false, true]),
            (EachStart, [true, true, true]),
            (FirstTime, [false, false, true]),
            (OnWish, [false, false, true]),
        ];
        for (again, expected) in registered {
            assert_eq!(
                [PowerOn, Start, Wish].map(|occasion| again.registers(occasion, true)),
                expected,
                "{again:?}"
            );
        }
        let first = [EachPowerOn, EachStart, FirstTime].map(|again| again.registers(Start, false));
        assert_eq!((first, OnWish.registers(Start, false)), ([true; 3], false));
    }
}
