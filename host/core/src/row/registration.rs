//! Devices, what they are reached by, and how that is proven.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    device_key::DeviceKey,
    endpoint::EndpointId,
    id::{ApplicationId, AttemptId, DeviceId, MethodName, ProfileId},
    number::DialsFrom,
    time::Timestamp,
};

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its application.
    pub application: ApplicationId,
    /// What it is: `phone`, `tablet` …
    pub kind: String,
    /// Its key.
    pub key: DeviceKey,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// When its present push token is over (REG-1).
    pub push_token_until: Timestamp,
    /// Where its user is, as it said last (REG-10).
    pub dials_from: Option<DialsFrom>,
}

/// A proven association of an identifier and a device (REG-11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// For which application.
    pub application: ApplicationId,
    /// What the person is reached by.
    pub endpoint: EndpointId,
    /// Which device.
    pub device: DeviceId,
    /// How it was proven.
    pub method: MethodName,
    /// When.
    pub registered_at: Timestamp,
}

/// A device that can be rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The identifier that reaches it.
    pub endpoint: EndpointId,
    /// Which device.
    pub device: DeviceId,
    /// What it is: `phone`, `tablet` …
    pub kind: String,
}

/// A registration under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Its method.
    pub method: MethodName,
    /// Unique within the method: a hash of the method's own key for it, if a text began it; otherwise its id.
    pub key: String,
    /// The device that it is for.
    pub device: DeviceId,
    /// The profile that it speaks for, once a password or credentials have proven it.
    pub profile: Option<ProfileId>,
    /// The version of the method that it asks, stamped by its first step; 0 before that.
    pub plugin_version: u32,
    /// The plugin's state, sealed; none before the first step.
    pub state: Option<Vec<u8>>,
    /// Counts its commits; a commit names the one it read.
    pub version: u64,
    /// It is forgotten after this.
    pub expires_at: Timestamp,
    /// It has finished.
    pub finished: bool,
}

impl Attempt {
    /// Whether a text began it, whose sender it answers. Otherwise somebody asked for it on a device, and may have
    /// typed anybody's number.
    pub fn is_texted(&self) -> bool {
        self.key != self.id.as_str()
    }
}

/// What a secret of the host proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// A signature over number, push token, device id and random number (REG-3).
    Signature,
    /// A short code (REG-5).
    Code,
    /// A token in a link that was mailed (REG-7, REG-8).
    Link,
}

/// What the host remembers of a secret that it made, to check it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Finds the record: the random number of a signature or link, or the attempt's id.
    pub id: String,
    /// What it proves.
    pub kind: SecretKind,
    /// The attempt, or the validation, that it belongs to.
    pub attempt: AttemptId,
    /// What it was sent to.
    pub endpoint: EndpointId,
    /// The device that it is for; a validation is for none.
    pub device: Option<DeviceId>,
    /// Key that made it.
    pub key_id: [u8; 4],
    /// Keyed hash of it.
    pub digest: Vec<u8>,
    /// How many more wrong tries it bears.
    pub tries_left: u8,
    /// It cannot be used after this.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    #[test]
    fn an_attempt_whose_key_is_its_id_was_begun_by_no_text() {
        let attempt = |key: &str| Attempt {
            id: "attempt-a".parse().unwrap(),
            method: "register-sms".parse().unwrap(),
            key: key.to_owned(),
            device: "device-a".parse().unwrap(),
            profile: None,
            plugin_version: 0,
            state: None,
            version: 0,
            expires_at: Timestamp::from_millis(1_000_000),
            finished: false,
        };
        assert!(!attempt("attempt-a").is_texted());
        assert!(attempt("a-hash").is_texted());
    }
}
