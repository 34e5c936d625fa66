//! Registration: proving an endpoint identifier (REG).

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    endpoint::EndpointId,
    id::{AttemptId, DeviceId, MethodName, PushToken},
};

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
        /// Names of the fields to fill in.
        fields: Vec<String>,
    },
    /// The attempt waits for something outside.
    Pending {
        /// The attempt.
        attempt: AttemptId,
    },
    /// The identifier is registered to this device.
    Registered {
        /// What was registered.
        endpoint: EndpointId,
    },
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
