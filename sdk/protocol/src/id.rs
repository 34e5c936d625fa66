//! Ids: each its own type, so that none fits where another belongs.
//!
//! All are short words of URL-safe characters, minted by the host, but those that say who chooses them. Rows, keys and
//! messages all have some: copies share their characters.

use alloc::{borrow::ToOwned as _, string::String, sync::Arc};
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text;

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// It is empty or longer than 64 characters.
    #[error("an id has 1 to 64 characters")]
    Length,
    /// It has a character other than `a-z`, `A-Z`, `0-9`, `-`, `_` and `.`.
    #[error("an id has only the characters a-z, A-Z, 0-9, '-', '_' and '.'")]
    Character,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Its characters.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check(text).map(|()| Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::read(deserializer)
            }
        }
    )*};
}

macro_rules! printed {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A customer of the operator. Nothing crosses tenants.
    TenantId;
    /// What a registration is for; invites stay inside one application.
    ApplicationId;
    /// One client computing device, minted at enrolment.
    DeviceId;
    /// An invitation and the session it becomes: one id from invite to end.
    SessionId;
    /// A registration under way.
    AttemptId;
    /// An account whose e-mail addresses are validated; it may have several devices (REG-6).
    ProfileId;
    /// One durable message; the same on socket and push, so that the application sees it once.
    MessageId;
    /// One incarnation of a device's mailbox; sequence numbers count inside it.
    Epoch;
    /// Chosen by the client, repeated by the answer.
    RequestId;
    /// Chosen by the client for a request that it may send again: what the request does is done once.
    IdempotencyKey;
    /// Chosen by an application for a mail address that it has validated (REG-18).
    ValidationId;
    /// A replaceable reference to a device, at most 32 characters of the GSM-7 alphabet (REG-1).
    ///
    /// A secret between the device and its host: it prints masked, [`Self::as_str`] gives the real thing.
    PushToken;
    /// A configured SMS transit of a tenant.
    GatewayId;
    /// A registration plugin's name within its tenant.
    MethodName;
    /// A host of the relay.
    RelayHostId;
    /// One running process of the server, from its start to its end.
    NodeId;
}

printed!(TenantId ApplicationId DeviceId SessionId AttemptId ProfileId MessageId Epoch RequestId IdempotencyKey ValidationId GatewayId MethodName RelayHostId NodeId);

impl fmt::Debug for PushToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushToken(…)")
    }
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() || text.len() > 64 {
        return Err(InvalidId::Length);
    }
    let word = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if text.bytes().all(word) { Ok(()) } else { Err(InvalidId::Character) }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn an_id_refuses_what_a_path_or_a_log_line_could_misread() {
        assert_eq!("a/b".parse::<TenantId>(), Err(InvalidId::Character));
        assert_eq!("a\nb".parse::<TenantId>(), Err(InvalidId::Character));
        assert_eq!("".parse::<TenantId>(), Err(InvalidId::Length));
        assert_eq!("x".repeat(65).parse::<TenantId>(), Err(InvalidId::Length));
    }

    #[test]
    fn a_push_token_prints_masked() {
        let token: PushToken = "t0ken".parse().unwrap();
        assert_eq!(format!("{token:?}"), "PushToken(…)");
    }
}
