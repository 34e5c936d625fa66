//! Devices: who they are, and which push token finds them.
//!
//! A push token is kept as its SHA-256: who reads the database cannot speak for a device.

use switchhook_core::row::Device;
use switchhook_protocol::{
    device_key::{DeviceKey, KeyBytes},
    id::{DeviceId, Epoch},
    number::DialsFrom,
    time::Timestamp,
};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
    words::Word as _,
};

const INSERT: &str = "INSERT INTO devices \
     (tenant, device, application, kind, key_algorithm, key_public, push_token_hash, enrolled_at, \
     push_token_until, country, area) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const INSERT_MAILBOX: &str = "INSERT INTO mailboxes (tenant, device, epoch) VALUES ($1, $2, $3)";
const GET: &str = "SELECT device, application, kind, key_algorithm, key_public, enrolled_at, push_token_until, country, \
     area FROM devices WHERE tenant = $1 AND device = $2";
const BY_PUSH_TOKEN: &str = "SELECT device, application, kind, key_algorithm, key_public, enrolled_at, \
     push_token_until, country, area FROM devices WHERE tenant = $1 AND push_token_hash = $2";
const SET_DIALS_FROM: &str = "UPDATE devices SET country = $3, area = $4 WHERE tenant = $1 AND device = $2";
const SET_PUSH_TOKEN: &str = "UPDATE devices SET push_token_hash = $3, push_token_until = $4, push_address = $5 \
     WHERE tenant = $1 AND device = $2";

const SPEND: &str = "INSERT INTO request_nonces (tenant, device, nonce, expires_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (tenant, device, nonce) DO NOTHING";
const SEEN: &str = "UPDATE participants SET seen_at = $3 WHERE tenant = $1 AND device = $2 AND seen_at < $3";

/// The devices of a tenant.
#[derive(Debug)]
pub struct Devices<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The devices.
    pub const fn devices(&self) -> Devices<'_> {
        Devices(self)
    }
}

impl Devices<'_> {
    /// Stores a new device, with an empty mailbox of this epoch.
    pub async fn insert(
        &self,
        device: &Device,
        push_token_hash: [u8; 32],
        epoch: &Epoch,
    ) -> Result<(), StorageError> {
        let (device, epoch) = (device.clone(), epoch.clone());
        self.0.run("enrol", async move |tx| tx.insert_device(&device, push_token_hash, &epoch).await).await
    }

    /// The device of this id.
    pub async fn get(&self, device: &DeviceId) -> Result<Option<Device>, StorageError> {
        self.0.storage().one(get(self.0.tenant().as_str(), device), decode).await
    }

    /// The device that this push token belongs to.
    pub async fn by_push_token(&self, hash: &[u8; 32]) -> Result<Option<Device>, StorageError> {
        self.0.storage().one(by_push_token(self.0.tenant().as_str(), hash), decode).await
    }

    /// Notes that a device has asked without a socket, by a nonce that it uses once until it expires; false
    /// if it was used. A device that takes part in sessions is seen by it (INV-16).
    pub async fn spend(
        &self,
        device: &DeviceId,
        nonce: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let of = |statement: &'static str| {
            Query::from(statement).bind(self.0.tenant().as_str().to_owned()).bind(device.as_str().to_owned())
        };
        let spent = of(SPEND).bind(nonce.to_owned()).bind(millis(expires_at));
        let seen = of(SEEN).bind(millis(now));
        let new = async move |tx: &mut Transaction<'_>| {
            let new = tx.write(spent).await? > 0;
            if new {
                tx.write(seen).await?;
            }
            Ok(new)
        };
        self.0.run("spend-nonce", new).await
    }
}

impl Transaction<'_> {
    /// Stores a new device, with an empty mailbox of this epoch.
    pub async fn insert_device(
        &mut self,
        device: &Device,
        push_token_hash: [u8; 32],
        epoch: &Epoch,
    ) -> Result<(), StorageError> {
        let tenant = self.tenant().to_owned();
        let id = device.id.as_str().to_owned();
        let query = Query::from(INSERT)
            .bind(tenant.clone())
            .bind(id.clone())
            .bind(device.application.as_str().to_owned())
            .bind(device.kind.clone())
            .bind(device.key.algorithm.word())
            .bind(device.key.public.0.clone())
            .bind(push_token_hash.to_vec())
            .bind(millis(device.enrolled_at))
            .bind(millis(device.push_token_until));
        let query = bind_dials_from(query, device.dials_from.as_ref());
        self.write(query).await?;
        let mailbox = Query::from(INSERT_MAILBOX).bind(tenant).bind(id).bind(epoch.as_str().to_owned());
        self.write(mailbox).await.map(drop)
    }

    /// The device of this id.
    pub async fn device(&mut self, device: &DeviceId) -> Result<Option<Device>, StorageError> {
        let query = get(self.tenant(), device);
        self.one(query, decode).await
    }

    /// The device that this push token belongs to.
    pub async fn device_by_push_token(&mut self, hash: &[u8; 32]) -> Result<Option<Device>, StorageError> {
        let query = by_push_token(self.tenant(), hash);
        self.one(query, decode).await
    }

    /// Notes where a device's user is.
    pub async fn set_dials_from(&mut self, device: &DeviceId, from: &DialsFrom) -> Result<(), StorageError> {
        let query =
            Query::from(SET_DIALS_FROM).bind(self.tenant().to_owned()).bind(device.as_str().to_owned());
        self.write(bind_dials_from(query, Some(from))).await.map(drop)
    }

    /// Gives a device another push token until then, with the address that it stands for, sealed; says whether there is
    /// such a device.
    pub async fn set_push_token(
        &mut self,
        device: &DeviceId,
        hash: &[u8; 32],
        (until, address): (Timestamp, Option<Vec<u8>>),
    ) -> Result<bool, StorageError> {
        let query = Query::from(SET_PUSH_TOKEN)
            .bind(self.tenant().to_owned())
            .bind(device.as_str().to_owned())
            .bind(hash.to_vec())
            .bind(millis(until))
            .bind(address);
        Ok(self.write(query).await? > 0)
    }
}

fn bind_dials_from(query: Query, from: Option<&DialsFrom>) -> Query {
    query.bind(from.map(|from| from.country.clone())).bind(from.and_then(|from| from.area.clone()))
}

fn get(tenant: &str, device: &DeviceId) -> Query {
    Query::from(GET).bind(tenant.to_owned()).bind(device.as_str().to_owned())
}

fn by_push_token(tenant: &str, hash: &[u8; 32]) -> Query {
    Query::from(BY_PUSH_TOKEN).bind(tenant.to_owned()).bind(hash.to_vec())
}

fn decode(row: &Row) -> Result<Device, StorageError> {
    let mut cells = Cells::of("devices", row);
    Ok(Device {
        id: cells.parsed()?,
        application: cells.parsed()?,
        kind: cells.text()?,
        key: DeviceKey { algorithm: cells.word()?, public: KeyBytes(cells.bytes()?) },
        enrolled_at: cells.timestamp()?,
        push_token_until: cells.timestamp()?,
        dials_from: match (cells.optional_text()?, cells.optional_text()?) {
            (Some(country), area) => Some(DialsFrom { country, area }),
            (None, _) => None,
        },
    })
}
