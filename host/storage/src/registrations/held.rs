//! Registrations as rows of a list: page by page, and taken back (REG-11).

use switchhook_core::row::Registration;
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{ApplicationId, DeviceId},
};

use super::Registrations;
use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    transaction::Transaction,
};

const ALL: &str = "SELECT device, application, endpoint, method, registered_at FROM registrations \
     WHERE tenant = $1 AND (application = $2 OR $2 = '') AND (device, endpoint) > ($3, $4) \
     ORDER BY device, endpoint LIMIT CAST($5 AS BIGINT)";
const BY_ENDPOINT: &str = "SELECT device, application, endpoint, method, registered_at FROM registrations \
     WHERE tenant = $1 AND (application = $2 OR $2 = '') AND (device, endpoint) > ($3, $4) AND endpoint = $6 \
     ORDER BY device, endpoint LIMIT CAST($5 AS BIGINT)";
const BY_DEVICE: &str = "SELECT device, application, endpoint, method, registered_at FROM registrations \
     WHERE tenant = $1 AND (application = $2 OR $2 = '') AND (device, endpoint) > ($3, $4) AND device = $6 \
     ORDER BY device, endpoint LIMIT CAST($5 AS BIGINT)";
const REVOKE: &str = "DELETE FROM registrations WHERE tenant = $1 AND device = $2 AND endpoint = $3";

/// Which registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// All of the tenant.
    All,
    /// Those of an identifier.
    By(EndpointId),
    /// Those of a device.
    On(DeviceId),
}

/// A part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// Of this application alone.
    pub application: Option<&'a ApplicationId>,
    /// Goes on after this one.
    pub after: Option<&'a (DeviceId, EndpointId)>,
    /// Has so many at most.
    pub limit: u32,
}

impl Registrations<'_> {
    /// A part of the list, in the order of devices, then of identifiers.
    pub async fn held(&self, which: &Held, page: Page<'_>) -> Result<Vec<Registration>, StorageError> {
        let (statement, named) = match which {
            Held::All => (ALL, None),
            Held::By(endpoint) => (BY_ENDPOINT, Some(endpoint.reveal())),
            Held::On(device) => (BY_DEVICE, Some(device.as_str())),
        };
        let (device, endpoint) =
            page.after.map_or(("", ""), |(device, endpoint)| (device.as_str(), endpoint.reveal()));
        let query = Query::from(statement)
            .bind(self.0.tenant().as_str().to_owned())
            .bind(page.application.map_or("", ApplicationId::as_str).to_owned())
            .bind(device.to_owned())
            .bind(endpoint.to_owned())
            .bind(page.limit);
        let query = match named {
            Some(named) => query.bind(named.to_owned()),
            None => query,
        };
        self.0.storage().all(query, registration).await
    }
}

impl Transaction<'_> {
    /// Takes a registration back; says whether there was one.
    pub async fn revoke(&mut self, device: &DeviceId, endpoint: &EndpointId) -> Result<bool, StorageError> {
        let query = Query::from(REVOKE)
            .bind(self.tenant().to_owned())
            .bind(device.as_str().to_owned())
            .bind(endpoint.reveal().to_owned());
        Ok(self.write(query).await? > 0)
    }
}

fn registration(row: &Row) -> Result<Registration, StorageError> {
    let mut cells = Cells::of("registrations", row);
    Ok(Registration {
        device: cells.parsed()?,
        application: cells.parsed()?,
        endpoint: cells.parsed()?,
        method: cells.parsed()?,
        registered_at: cells.timestamp()?,
    })
}
