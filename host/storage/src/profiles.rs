//! Profiles, their addresses, and what they keep of each device (REG-7, REG-17).

use switchhook_core::row::{AddressOfDevice, Profile};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{AttemptId, DeviceId, ProfileId},
    registration::AddressState,
    time::Timestamp,
};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    limits,
    transaction::Transaction,
    words::Word as _,
};

const OF_USER: &str = "SELECT profile, user_id FROM profiles WHERE tenant = $1 AND user_id = $2";
const GET: &str = "SELECT profile, user_id FROM profiles WHERE tenant = $1 AND profile = $2";
const INSERT: &str = "INSERT INTO profiles (tenant, profile, user_id) VALUES ($1, $2, $3)";
const ADDRESSES: &str =
    "SELECT address, state FROM profile_addresses WHERE tenant = $1 AND profile = $2 ORDER BY address";
const SET: &str = "INSERT INTO profile_addresses (tenant, profile, address, state) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (tenant, profile, address) DO UPDATE SET state = CASE \
         WHEN profile_addresses.state = 'validated' THEN 'validated' ELSE excluded.state END";
const COUNT: &str =
    "SELECT profile, COUNT(*) FROM profile_addresses WHERE tenant = $1 AND profile = $2 GROUP BY profile";
const ASK: &str = "INSERT INTO address_devices (tenant, profile, address, device, attempt, asked_at) \
     VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (tenant, profile, address, device) DO UPDATE SET attempt = excluded.attempt, \
         asked_at = excluded.asked_at, told_at = NULL";
const TELL: &str = "UPDATE address_devices SET told_at = $4 \
     WHERE tenant = $1 AND profile = $2 AND address = $3 AND told_at IS NULL AND ($5 = '' OR device = $5) \
     RETURNING address, device, attempt, asked_at, told_at, registered_at";
const REGISTER: &str = "INSERT INTO address_devices \
         (tenant, profile, address, device, attempt, asked_at, told_at, registered_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $6, $6) \
     ON CONFLICT (tenant, profile, address, device) DO UPDATE SET registered_at = excluded.registered_at";
const FORGET: &str =
    "DELETE FROM address_devices WHERE tenant = $1 AND profile = $2 AND address = $3 AND device = $4";
const DEVICES: &str = "SELECT address, device, attempt, asked_at, told_at, registered_at FROM address_devices \
     WHERE tenant = $1 AND profile = $2 ORDER BY address, device";
const REMOVE: [&str; 4] = [
    "DELETE FROM credentials WHERE tenant = $1 AND profile = $2",
    "DELETE FROM address_devices WHERE tenant = $1 AND profile = $2",
    "DELETE FROM profile_addresses WHERE tenant = $1 AND profile = $2",
    "DELETE FROM profiles WHERE tenant = $1 AND profile = $2",
];
const KNOWN: &str = "SELECT device, profile FROM credentials \
     WHERE tenant = $1 AND device = $2 AND profile IN (SELECT profile FROM profiles WHERE tenant = $1 AND user_id = $3)";

/// The profiles of a tenant.
#[derive(Debug)]
pub struct Profiles<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The profiles.
    pub const fn profiles(&self) -> Profiles<'_> {
        Profiles(self)
    }
}

impl Profiles<'_> {
    /// The profile of this id.
    pub async fn get(&self, profile: &ProfileId) -> Result<Option<Profile>, StorageError> {
        let query = keyed(GET, self.0.tenant().as_str(), profile.as_str());
        self.0.storage().one(query, decode).await
    }

    /// The profile of a user.
    pub async fn of_user(&self, user: &EndpointId) -> Result<Option<Profile>, StorageError> {
        let query = keyed(OF_USER, self.0.tenant().as_str(), user.reveal());
        self.0.storage().one(query, decode).await
    }

    /// Its addresses, in their order.
    pub async fn addresses(
        &self,
        profile: &ProfileId,
    ) -> Result<Vec<(EndpointId, AddressState)>, StorageError> {
        let query = keyed(ADDRESSES, self.0.tenant().as_str(), profile.as_str());
        self.0.storage().all(query, address).await
    }

    /// What it keeps of its devices, by address and device.
    pub async fn devices(&self, profile: &ProfileId) -> Result<Vec<AddressOfDevice>, StorageError> {
        let query = keyed(DEVICES, self.0.tenant().as_str(), profile.as_str());
        self.0.storage().all(query, of_device).await
    }

    /// Whether a device holds credentials of this user.
    pub async fn is_known(&self, device: &DeviceId, user: &EndpointId) -> Result<bool, StorageError> {
        let query = keyed(KNOWN, self.0.tenant().as_str(), device.as_str()).bind(user.reveal().to_owned());
        Ok(self.0.storage().one(query, |_| Ok(())).await?.is_some())
    }
}

impl Transaction<'_> {
    /// The profile of a user: the one that it has, or this new one.
    pub async fn profile_of(&mut self, user: &EndpointId, new: ProfileId) -> Result<ProfileId, StorageError> {
        let query = keyed(OF_USER, self.tenant(), user.reveal());
        if let Some(known) = self.one(query, decode).await? {
            return Ok(known.id);
        }
        let query = keyed(INSERT, self.tenant(), new.as_str()).bind(user.reveal().to_owned());
        self.write(query).await?;
        Ok(new)
    }

    /// The profile of a user, if it has one.
    pub async fn known_profile(&mut self, user: &EndpointId) -> Result<Option<ProfileId>, StorageError> {
        let query = keyed(OF_USER, self.tenant(), user.reveal());
        Ok(self.one(query, decode).await?.map(|known| known.id))
    }

    /// Removes a profile with its addresses and credentials. What is registered stays.
    pub async fn remove_profile(&mut self, profile: &ProfileId) -> Result<(), StorageError> {
        for statement in REMOVE {
            let query = keyed(statement, self.tenant(), profile.as_str());
            self.write(query).await?;
        }
        Ok(())
    }

    /// Sets the state of an address. What is validated stays so. False, and nothing is stored, if the profile would
    /// have more than [`limits::ADDRESSES`].
    pub async fn set_address(
        &mut self,
        profile: &ProfileId,
        address: &EndpointId,
        state: AddressState,
    ) -> Result<bool, StorageError> {
        let query = of_address(SET, self.tenant(), profile, address).bind(state.word());
        self.write(query).await?;
        let count = keyed(COUNT, self.tenant(), profile.as_str());
        let count = self.one(count, |row| {
            let mut cells = Cells::of("profile_addresses", row);
            cells.text()?;
            cells.number::<u32>()
        });
        Ok(count.await?.unwrap_or(0) <= limits::ADDRESSES)
    }

    /// The state of an address, if the profile knows it.
    pub async fn address_state(
        &mut self,
        profile: &ProfileId,
        wanted: &EndpointId,
    ) -> Result<Option<AddressState>, StorageError> {
        let query = keyed(ADDRESSES, self.tenant(), profile.as_str());
        let known = self.all(query, address).await?;
        Ok(known.into_iter().find(|(known, _)| known == wanted).map(|(_, state)| state))
    }

    /// A device asks about an address, and has not heard.
    pub async fn ask_address(
        &mut self,
        (profile, address): (&ProfileId, &EndpointId),
        (device, attempt): (&DeviceId, &AttemptId),
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let query = of_address(ASK, self.tenant(), profile, address)
            .bind(device.as_str().to_owned())
            .bind(attempt.as_str().to_owned())
            .bind(millis(now));
        self.write(query).await.map(drop)
    }

    /// Notes that all devices that asked about an address and have not heard, or this one of them, are told; these are
    /// the answer, each once.
    pub async fn tell_address(
        &mut self,
        (profile, address): (&ProfileId, &EndpointId),
        device: Option<&DeviceId>,
        now: Timestamp,
    ) -> Result<Vec<AddressOfDevice>, StorageError> {
        let query = of_address(TELL, self.tenant(), profile, address)
            .bind(millis(now))
            .bind(device.map_or("", DeviceId::as_str).to_owned());
        self.all(query, of_device).await
    }

    /// An address is registered to a device, whether or not it asked about it before: the profile may have known it as
    /// validated.
    pub async fn register_address(
        &mut self,
        (profile, address): (&ProfileId, &EndpointId),
        (device, attempt): (&DeviceId, &AttemptId),
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let query = of_address(REGISTER, self.tenant(), profile, address)
            .bind(device.as_str().to_owned())
            .bind(attempt.as_str().to_owned())
            .bind(millis(now));
        self.write(query).await.map(drop)
    }

    /// A device asks about an address no more.
    pub async fn forget_address(
        &mut self,
        (profile, address): (&ProfileId, &EndpointId),
        device: &DeviceId,
    ) -> Result<(), StorageError> {
        let query = of_address(FORGET, self.tenant(), profile, address).bind(device.as_str().to_owned());
        self.write(query).await.map(drop)
    }
}

fn keyed(statement: &'static str, tenant: &str, key: &str) -> Query {
    Query::from(statement).bind(tenant.to_owned()).bind(key.to_owned())
}

fn of_address(statement: &'static str, tenant: &str, profile: &ProfileId, address: &EndpointId) -> Query {
    keyed(statement, tenant, profile.as_str()).bind(address.reveal().to_owned())
}

fn decode(row: &Row) -> Result<Profile, StorageError> {
    let mut cells = Cells::of("profiles", row);
    Ok(Profile { id: cells.parsed()?, user: cells.parsed()? })
}

fn address(row: &Row) -> Result<(EndpointId, AddressState), StorageError> {
    let mut cells = Cells::of("profile_addresses", row);
    Ok((cells.parsed()?, cells.word()?))
}

fn of_device(row: &Row) -> Result<AddressOfDevice, StorageError> {
    let mut cells = Cells::of("address_devices", row);
    Ok(AddressOfDevice {
        address: cells.parsed()?,
        device: cells.parsed()?,
        attempt: cells.parsed()?,
        asked_at: cells.timestamp()?,
        told_at: cells.optional_timestamp()?,
        registered_at: cells.optional_timestamp()?,
    })
}
