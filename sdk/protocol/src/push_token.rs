//! Push tokens: what a device is reached by, opaque and for a time (REG-1).

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::id::PushToken;

/// `push-token.renew`: the device gets another push token. From then on the one before neither rings nor registers
/// anything; what the device has registered stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTokenRenew {
    /// Where a push service of its platform reaches the device; the token stands for it. Without it, nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wraps: Option<PushAddress>,
}

/// Answer to `push-token.renew`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTokenRenewed {
    /// The push token from here on.
    pub push_token: PushToken,
    /// How long it counts, in milliseconds.
    pub expires_in_ms: u64,
}

/// An address of a platform's push service. Prints masked: whoever has it can wake the device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "service", rename_all = "kebab-case")]
pub enum PushAddress {
    /// Apple's.
    Apns {
        /// The device token, as the system gives it to the application.
        token: String,
        /// The application's bundle id.
        topic: String,
    },
    /// Firebase's.
    Fcm {
        /// The registration token.
        token: String,
    },
    /// That of a browser (RFC 8030).
    WebPush {
        /// The subscription's endpoint: an `https` URL.
        endpoint: String,
        /// The subscription's public key, base64url (RFC 8291 §2.1).
        p256dh: String,
        /// The subscription's authentication secret, base64url.
        auth: String,
    },
}

/// Longest field of a [`PushAddress`], in bytes.
pub const MAX_PUSH_ADDRESS: usize = 2048;

impl PushAddress {
    /// Whether no field is empty, longer than [`MAX_PUSH_ADDRESS`] or of other characters than printable ASCII, and an
    /// endpoint is an `https` URL.
    pub fn is_well_formed(&self) -> bool {
        let word = |text: &String| {
            (1..=MAX_PUSH_ADDRESS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match self {
            Self::Apns { token, topic } => word(token) && word(topic),
            Self::Fcm { token } => word(token),
            Self::WebPush { endpoint, p256dh, auth } => {
                word(endpoint) && endpoint.starts_with("https://") && word(p256dh) && word(auth)
            }
        }
    }
}

impl core::fmt::Debug for PushAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Apns { .. } => "Apns(…)",
            Self::Fcm { .. } => "Fcm(…)",
            Self::WebPush { .. } => "WebPush(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, format};

    use super::*;

    #[test]
    fn reg_1_an_address_of_a_push_service_is_of_words_and_prints_masked() {
        let web = |endpoint: &str| PushAddress::WebPush {
            endpoint: endpoint.to_owned(),
            p256dh: "BNc".to_owned(),
            auth: "k8J".to_owned(),
        };
        assert!(web("https://push.example/1").is_well_formed());
        for wrong in
            ["http://push.example/1", "", "https://push.example/a b", "https://push.example/\r\nHost: x"]
        {
            assert!(!web(wrong).is_well_formed(), "{wrong}");
        }
        assert!(!PushAddress::Fcm { token: "x".repeat(MAX_PUSH_ADDRESS + 1) }.is_well_formed());
        assert_eq!(format!("{:?}", web("https://push.example/1")), "WebPush(…)");
    }
}
