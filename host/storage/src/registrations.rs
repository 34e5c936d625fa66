//! Registrations: which identifiers reach which devices (REG-11).

mod held;

use switchhook_core::row::{Registration, Target};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{ApplicationId, DeviceId, MethodName},
};

pub use self::held::{Held, Page};
use crate::{
    cells::{Cells, millis},
    dialect::{self, Query, Row, Statement},
    error::{DriverError, StorageError},
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const REACHED_BY: &str = "SELECT d.device, g.endpoint, d.kind FROM registrations AS g CROSS JOIN devices AS d \
     WHERE g.tenant = $1 AND g.endpoint = $2 AND d.tenant = g.tenant AND d.device = g.device ORDER BY d.device";
const OF_DEVICE: &str =
    "SELECT device, endpoint FROM registrations WHERE tenant = $1 AND device = $2 ORDER BY endpoint";
const HOLDS: &str = "SELECT method FROM registrations WHERE tenant = $1 AND device = $2 AND endpoint = $3";
const OTHERS: &str = "SELECT g.device FROM registrations AS g \
     WHERE g.tenant = $1 AND g.endpoint = $2 AND g.application = $3 AND g.device <> $4 \
     AND NOT EXISTS (SELECT 1 FROM address_devices AS its \
     WHERE its.tenant = g.tenant AND its.device = g.device AND its.profile IN \
     (SELECT profile FROM address_devices WHERE tenant = $1 AND device = $4 \
     UNION SELECT profile FROM credentials WHERE tenant = $1 AND device = $4)) \
     AND NOT EXISTS (SELECT 1 FROM credentials AS its \
     WHERE its.tenant = g.tenant AND its.device = g.device AND its.profile IN \
     (SELECT profile FROM address_devices WHERE tenant = $1 AND device = $4 \
     UNION SELECT profile FROM credentials WHERE tenant = $1 AND device = $4)) \
     ORDER BY g.registered_at DESC, g.device LIMIT CAST($5 AS BIGINT)";
const BIND: &str = "INSERT INTO registrations (tenant, device, endpoint, application, method, registered_at) \
     VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (tenant, device, endpoint) DO UPDATE \
     SET application = excluded.application, method = excluded.method, registered_at = excluded.registered_at";

/// The registrations of a tenant.
#[derive(Debug)]
pub struct Registrations<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The registrations.
    pub const fn registrations(&self) -> Registrations<'_> {
        Registrations(self)
    }
}

impl Registrations<'_> {
    /// The devices that these identifiers reach: in the order of the identifiers, then of the devices.
    pub async fn of_endpoints(
        &self,
        application: &ApplicationId,
        endpoints: &[EndpointId],
    ) -> Result<Vec<Target>, StorageError> {
        let query = of_endpoints(dialect::TARGETS, self.0.tenant().as_str(), application, endpoints)?;
        self.0.storage().all(query, target).await
    }

    /// The devices that these identifiers reach, but for those whose user has blocked `by`: in the order of the
    /// identifiers, then of the devices.
    pub async fn rung_by(
        &self,
        by: &EndpointId,
        application: &ApplicationId,
        endpoints: &[EndpointId],
    ) -> Result<Vec<Target>, StorageError> {
        let query = of_endpoints(dialect::RUNG_BY, self.0.tenant().as_str(), application, endpoints)?;
        self.0.storage().all(query.bind(by.reveal().to_owned()), target).await
    }

    /// The same for a device that rings by an identifier of its own; none if `by` does not reach it.
    pub async fn rung_from(
        &self,
        device: &DeviceId,
        by: &EndpointId,
        application: &ApplicationId,
        endpoints: &[EndpointId],
    ) -> Result<Option<Vec<Target>>, StorageError> {
        let query = of_endpoints(dialect::RUNG_FROM, self.0.tenant().as_str(), application, endpoints)?;
        let query = query.bind(by.reveal().to_owned()).bind(device.as_str().to_owned());
        let rows = self.0.storage().all(query, placed).await?;
        let own = rows.first().is_some_and(|(_, place)| *place < 0);
        Ok(own.then(|| rows.into_iter().skip(1).map(|(target, _)| target).collect()))
    }

    /// The devices that an identifier reaches, of all applications.
    pub async fn reached_by(&self, endpoint: &EndpointId) -> Result<Vec<Target>, StorageError> {
        let tenant = self.0.tenant().as_str().to_owned();
        let query = Query::from(REACHED_BY).bind(tenant).bind(endpoint.reveal().to_owned());
        self.0.storage().all(query, target).await
    }

    /// The identifiers that reach this device.
    pub async fn of_device(&self, device: &DeviceId) -> Result<Vec<EndpointId>, StorageError> {
        self.0.storage().all(of_device(self.0.tenant().as_str(), device), endpoint).await
    }

    /// Whether this identifier reaches this device.
    pub async fn holds(&self, device: &DeviceId, endpoint: &EndpointId) -> Result<bool, StorageError> {
        let query = holds(self.0.tenant().as_str(), device, endpoint);
        Ok(self.0.storage().one(query, |_| Ok(())).await?.is_some())
    }
}

impl Transaction<'_> {
    /// Stores a proven association; a repeat takes the place of the former. Says how that was proven; none: it is new.
    pub async fn bind(&mut self, registration: &Registration) -> Result<Option<MethodName>, StorageError> {
        let known = holds(self.tenant(), &registration.device, &registration.endpoint);
        let known = self.one(known, |row| Cells::of("registrations", row).parsed()).await?;
        let query = Query::from(BIND)
            .bind(self.tenant().to_owned())
            .bind(registration.device.as_str().to_owned())
            .bind(registration.endpoint.reveal().to_owned())
            .bind(registration.application.as_str().to_owned())
            .bind(registration.method.as_str().to_owned())
            .bind(millis(registration.registered_at));
        self.write(query).await?;
        Ok(known)
    }

    /// The devices of others than the registration's user that its identifier reaches too, in its application: those that
    /// proved it last first, `limit` at most. Devices that speak for one profile are one user's.
    pub async fn others(
        &mut self,
        registration: &Registration,
        limit: u32,
    ) -> Result<Vec<DeviceId>, StorageError> {
        let query = Query::from(OTHERS)
            .bind(self.tenant().to_owned())
            .bind(registration.endpoint.reveal().to_owned())
            .bind(registration.application.as_str().to_owned())
            .bind(registration.device.as_str().to_owned())
            .bind(limit);
        self.all(query, |row| Cells::of("registrations", row).parsed()).await
    }

    /// The devices that these identifiers reach (see [`Registrations::of_endpoints`]).
    pub async fn targets(
        &mut self,
        application: &ApplicationId,
        endpoints: &[EndpointId],
    ) -> Result<Vec<Target>, StorageError> {
        let query = of_endpoints(dialect::TARGETS, self.tenant(), application, endpoints)?;
        self.all(query, target).await
    }

    /// The identifiers that reach this device.
    pub async fn endpoints_of(&mut self, device: &DeviceId) -> Result<Vec<EndpointId>, StorageError> {
        let query = of_device(self.tenant(), device);
        self.all(query, endpoint).await
    }
}

fn of_endpoints(
    statement: Statement,
    tenant: &str,
    application: &ApplicationId,
    endpoints: &[EndpointId],
) -> Result<Query, StorageError> {
    let endpoints = serde_json::to_string(endpoints).map_err(DriverError::from)?;
    let query = Query::from(statement).bind(tenant.to_owned()).bind(application.as_str().to_owned());
    Ok(query.bind(endpoints))
}

fn holds(tenant: &str, device: &DeviceId, endpoint: &EndpointId) -> Query {
    Query::from(HOLDS)
        .bind(tenant.to_owned())
        .bind(device.as_str().to_owned())
        .bind(endpoint.reveal().to_owned())
}

fn of_device(tenant: &str, device: &DeviceId) -> Query {
    Query::from(OF_DEVICE).bind(tenant.to_owned()).bind(device.as_str().to_owned())
}

fn target(row: &Row) -> Result<Target, StorageError> {
    let mut cells = Cells::of("registrations", row);
    Ok(Target { device: cells.parsed()?, endpoint: cells.parsed()?, kind: cells.text()? })
}

/// A device with the place of its identifier in the question.
fn placed(row: &Row) -> Result<(Target, i64), StorageError> {
    let mut cells = Cells::of("registrations", row);
    let target = Target { device: cells.parsed()?, endpoint: cells.parsed()?, kind: cells.text()? };
    Ok((target, cells.number()?))
}

fn endpoint(row: &Row) -> Result<EndpointId, StorageError> {
    let mut cells = Cells::of("registrations", row);
    cells.text()?;
    cells.parsed()
}
