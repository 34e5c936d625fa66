//! Users as they are shown: never with a password.

use serde::Serialize;
use switchhook_core::row::{AddressOfDevice, User, UserState};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{DeviceId, ProfileId},
    registration::AddressState,
    time::Timestamp,
};
use utoipa::ToSchema;

use crate::http::admin::schemas;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserShown {
    #[schema(value_type = String)]
    user: EndpointId,
    /// Addresses that are known to be the user's.
    #[schema(value_type = Vec<String>)]
    addresses: Vec<EndpointId>,
    #[schema(value_type = schemas::UserState)]
    state: UserState,
    /// When the password was last set.
    #[schema(value_type = u64)]
    changed_at: Timestamp,
}

/// A part of the list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Users)]
pub(crate) struct Listed {
    users: Vec<UserShown>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<EndpointId>,
}

/// A user with the profile.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserDetails)]
pub(crate) struct Detailed {
    #[serde(flatten)]
    user: UserShown,
    /// Once somebody has signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    profile: Option<ProfileId>,
    /// What the profile keeps of addresses.
    validations: Vec<ValidationShown>,
    /// What it keeps of addresses and devices.
    devices: Vec<DeviceShown>,
}

/// An address of a profile.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserValidation)]
struct ValidationShown {
    #[schema(value_type = String)]
    address: EndpointId,
    #[schema(value_type = schemas::AddressState)]
    state: AddressState,
}

/// An address on a device.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserDevice)]
struct DeviceShown {
    #[schema(value_type = String)]
    address: EndpointId,
    #[schema(value_type = String)]
    device: DeviceId,
    /// When the device last asked for a validation.
    #[schema(value_type = u64)]
    asked_at: Timestamp,
    /// When it was told that the address is validated.
    #[schema(value_type = Option<u64>)]
    told_at: Option<Timestamp>,
    /// When the address was registered to it.
    #[schema(value_type = Option<u64>)]
    registered_at: Option<Timestamp>,
}

impl From<User> for UserShown {
    fn from(user: User) -> Self {
        let User { id, addresses, state, changed_at, password: _ } = user;
        Self { user: id, addresses, state, changed_at }
    }
}

impl Listed {
    pub(super) fn page(found: Vec<User>, limit: u32) -> Self {
        let full = u32::try_from(found.len()).is_ok_and(|count| count == limit);
        let next = found.last().filter(|_| full).map(|user| user.id.clone());
        Self { users: found.into_iter().map(UserShown::from).collect(), next }
    }
}

impl Detailed {
    pub(super) fn new(user: User) -> Self {
        Self { user: user.into(), profile: None, validations: vec![], devices: vec![] }
    }

    pub(super) fn with(
        user: User,
        profile: ProfileId,
        addresses: Vec<(EndpointId, AddressState)>,
        devices: Vec<AddressOfDevice>,
    ) -> Self {
        let validation = |(address, state)| ValidationShown { address, state };
        Self {
            user: user.into(),
            profile: Some(profile),
            validations: addresses.into_iter().map(validation).collect(),
            devices: devices.into_iter().map(DeviceShown::from).collect(),
        }
    }
}

impl From<AddressOfDevice> for DeviceShown {
    fn from(kept: AddressOfDevice) -> Self {
        let AddressOfDevice { address, device, asked_at, told_at, registered_at, attempt: _ } = kept;
        Self { address, device, asked_at, told_at, registered_at }
    }
}
