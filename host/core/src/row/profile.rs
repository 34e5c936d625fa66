//! Users, their profiles, and what devices hold of them (REG-6 to REG-9, REG-17).

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{AttemptId, DeviceId, ProfileId},
    registration::Scope,
    time::Timestamp,
};

/// A user of the tenant's built-in directory.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// By which the user signs in.
    pub id: EndpointId,
    /// Hash of the password, a PHC string.
    pub password: String,
    /// Addresses that the tenant knows to be the user's.
    pub addresses: Vec<EndpointId>,
    /// Whether the user may sign in.
    pub state: UserState,
    /// When the password was last set.
    pub changed_at: Timestamp,
}

/// Masked: the hash is worth guessing at.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserState {
    /// Yes.
    #[default]
    Active,
    /// No password is right for this user.
    Blocked,
}

/// A user's account at this host: it outlives devices and passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its id.
    pub id: ProfileId,
    /// Whose: a user of the built-in directory, or of the tenant's own.
    pub user: EndpointId,
}

/// What a profile keeps of one device and one address (REG-17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressOfDevice {
    /// The address.
    pub address: EndpointId,
    /// The device.
    pub device: DeviceId,
    /// The device's own attempt, the last that asked.
    pub attempt: AttemptId,
    /// When the device last asked for a validation.
    pub asked_at: Timestamp,
    /// When it was told that the address is validated; none as long as it has not heard.
    pub told_at: Option<Timestamp>,
    /// When the address was registered to it.
    pub registered_at: Option<Timestamp>,
}

/// Credentials that count: one of a scope for each device and address, the newest (REG-9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCredentials {
    /// What they are for.
    pub scope: Scope,
    /// The profile.
    pub profile: ProfileId,
    /// The address; none of scope `profile`.
    pub endpoint: Option<EndpointId>,
    /// The device.
    pub device: DeviceId,
    /// Tells them from those before.
    pub serial: String,
    /// They do not count after this.
    pub expires_at: Timestamp,
}

/// When an attempt is asked again: one for each attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Deadline {
    /// The attempt.
    pub attempt: AttemptId,
    /// When.
    pub due_at: Timestamp,
}
