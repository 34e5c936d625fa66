//! What a device with a profile hears and holds: its addresses, its credentials (REG-6 to REG-9).

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{endpoint::EndpointId, id::ProfileId};

/// The state of an address in a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressState {
    /// A validation was asked for; its answer waits for a mail.
    Asked,
    /// It is validated.
    Validated,
    /// Its user said no.
    Declined,
}

/// How far one address is (REG-7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressProgress {
    /// The address.
    pub address: EndpointId,
    /// Its state.
    pub state: AddressState,
}

/// What credentials are for (REG-6, REG-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// A device speaks for a profile: it asks for validations, activates and registers addresses.
    Profile,
    /// A validated address: it may be registered to the device.
    Address,
    /// A registered address: it may be registered again without a person.
    Login,
}

/// Credentials of a device. They count on this device alone, until they expire or are revoked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// What they are for.
    pub scope: Scope,
    /// The profile.
    pub profile: ProfileId,
    /// The address that they are for; none of scope `profile`. Of scope `login`, it is registered to this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
    /// The credentials: opaque. To be sent in the field [`Scope::field`].
    pub credentials: String,
    /// How long they count, in milliseconds.
    pub expires_in_ms: u64,
}

/// Masked: they are a secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("scope", &self.scope)
            .field("profile", &self.profile)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Profile, Self::Address, Self::Login];

    /// The field that credentials of this scope are sent in.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Profile => "profile-credentials",
            Self::Address => "address-credentials",
            Self::Login => "login-credentials",
        }
    }
}

/// What the host does with a field before a method hears of it, by the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// The method sees what the user filled in.
    Open,
    /// A password: the method sees a handle that stands for it.
    Password,
    /// Credentials: the host checks them, and the method sees what they prove.
    Credentials(Scope),
    /// Credentials of no scope that there is.
    Unknown,
}

impl Secrecy {
    /// Of a field of this name: `password` or `…-password`, `credentials` or `…-credentials`, anything else.
    pub fn of(name: &str) -> Self {
        let ends =
            |word: &str| name == word || name.strip_suffix(word).is_some_and(|rest| rest.ends_with('-'));
        if ends("password") {
            return Self::Password;
        }
        if !ends("credentials") {
            return Self::Open;
        }
        let scope = Scope::ALL.into_iter().find(|scope| scope.field() == name);
        scope.map_or(Self::Unknown, Self::Credentials)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn a_field_is_as_secret_as_its_name_says() {
        assert_eq!(Secrecy::of("password"), Secrecy::Password);
        assert_eq!(Secrecy::of("old-password"), Secrecy::Password);
        assert_eq!(Secrecy::of("passwords"), Secrecy::Open);
        assert_eq!(Secrecy::of("nopassword"), Secrecy::Open);
        assert_eq!(Secrecy::of("login-credentials"), Secrecy::Credentials(Scope::Login));
        assert_eq!(Secrecy::of("credentials"), Secrecy::Unknown);
        assert_eq!(Secrecy::of("my-credentials"), Secrecy::Unknown);
    }

    #[test]
    fn credentials_print_masked() {
        let credentials = Credentials {
            scope: Scope::Profile,
            profile: "p1".parse().unwrap(),
            endpoint: None,
            credentials: "s3cret".into(),
            expires_in_ms: 1,
        };
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
