//! SMS gateways, and what their messages were answered with (REG-2).
//!
//! How a gateway is spoken to is JSON in its row; the generic one has its address in a column of its own.

use switchhook_core::row::{Gateway, Provider, TransitAnswer};
use switchhook_protocol::id::{GatewayId, TenantId};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::{Storage, TenantStorage},
    transaction::Transaction,
};

const PUT: &str = "INSERT INTO gateways (tenant, gateway, number, send_url, provider, secret, kept, serves) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (tenant, gateway) DO UPDATE SET number = excluded.number, send_url = excluded.send_url, \
     provider = excluded.provider, secret = excluded.secret, kept = excluded.kept, \
     serves = excluded.serves";
const REMOVE: &str = "DELETE FROM gateways WHERE tenant = $1 AND gateway = $2";
const GET: &str = "SELECT gateway, number, send_url, provider, secret, serves FROM gateways WHERE tenant = $1 AND gateway = $2";
const LIST: &str = "SELECT gateway, number, send_url, provider, secret, serves FROM gateways WHERE tenant = $1 ORDER BY gateway";
const KEPT: &str = "SELECT gateway, number, send_url, provider, secret, serves, tenant FROM gateways WHERE kept = 1 ORDER BY tenant, gateway";
const PUT_ANSWER: &str = "INSERT INTO transit_answers (tenant, gateway, message, digest, status, answer, at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const GET_ANSWER: &str = "SELECT gateway, message, digest, status, answer, at FROM transit_answers \
     WHERE tenant = $1 AND gateway = $2 AND message = $3";

/// A gateway and whose it is, or why its row cannot be read.
pub type KeptGateway = Result<(TenantId, Gateway), StorageError>;

/// The gateways of a tenant.
#[derive(Debug)]
pub struct Gateways<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The gateways.
    pub const fn gateways(&self) -> Gateways<'_> {
        Gateways(self)
    }
}

impl Storage {
    /// The gateways of all tenants to which every node keeps a connection; each by itself, since a row that breaks an
    /// invariant is not everybody's trouble.
    pub async fn kept_gateways(&self) -> Result<Vec<KeptGateway>, StorageError> {
        let kept = |row: &Row| {
            let mut cells = Cells::of("gateways", row);
            let gateway = read(&mut cells)?;
            Ok((cells.parsed()?, gateway))
        };
        self.all(Query::from(KEPT), |row| Ok(kept(row))).await
    }
}

impl Gateways<'_> {
    pub(crate) const fn of(&self) -> &TenantStorage {
        self.0
    }

    /// The gateway of this name.
    pub async fn get(&self, gateway: &GatewayId) -> Result<Option<Gateway>, StorageError> {
        self.0.storage().one(get(self.0.tenant().as_str(), gateway), decode).await
    }

    /// All, by name.
    pub async fn list(&self) -> Result<Vec<Gateway>, StorageError> {
        let query = Query::from(LIST).bind(self.0.tenant().as_str().to_owned());
        self.0.storage().all(query, decode).await
    }

    /// What a message of a gateway was answered with.
    pub async fn answer(
        &self,
        gateway: &GatewayId,
        message: &str,
    ) -> Result<Option<TransitAnswer>, StorageError> {
        let query = answer(self.0.tenant().as_str(), gateway, message);
        self.0.storage().one(query, decode_answer).await
    }
}

impl Transaction<'_> {
    /// Stores a gateway; one of the same name takes the place of the former.
    pub async fn put_gateway(&mut self, gateway: &Gateway) -> Result<(), StorageError> {
        let (send_url, provider) = columns(&gateway.provider);
        let query = Query::from(PUT)
            .bind(self.tenant().to_owned())
            .bind(gateway.id.as_str().to_owned())
            .bind(gateway.number.clone())
            .bind(send_url)
            .bind(provider)
            .bind(gateway.secret.clone())
            .bind(i64::from(gateway.provider.is_kept()))
            .bind(serde_json::to_string(&gateway.serves).ok().filter(|_| !gateway.serves.is_empty()));
        self.write(query).await.map(drop)
    }

    /// Removes a gateway; false if there was none.
    pub async fn remove_gateway(&mut self, gateway: &GatewayId) -> Result<bool, StorageError> {
        let query = Query::from(REMOVE).bind(self.tenant().to_owned()).bind(gateway.as_str().to_owned());
        Ok(self.write(query).await? > 0)
    }

    /// The gateway of this name.
    pub async fn gateway(&mut self, gateway: &GatewayId) -> Result<Option<Gateway>, StorageError> {
        let query = get(self.tenant(), gateway);
        self.one(query, decode).await
    }

    /// Stores what a message is answered with, once: a second is a conflict.
    pub async fn put_transit_answer(&mut self, answer: &TransitAnswer) -> Result<(), StorageError> {
        let query = Query::from(PUT_ANSWER)
            .bind(self.tenant().to_owned())
            .bind(answer.gateway.as_str().to_owned())
            .bind(answer.message.clone())
            .bind(answer.digest.to_vec())
            .bind(i64::from(answer.status))
            .bind(answer.answer.clone())
            .bind(millis(answer.at));
        self.write(query).await.map(drop)
    }

    /// What a message was answered with.
    pub async fn transit_answer(
        &mut self,
        gateway: &GatewayId,
        message: &str,
    ) -> Result<Option<TransitAnswer>, StorageError> {
        let query = answer(self.tenant(), gateway, message);
        self.one(query, decode_answer).await
    }
}

fn get(tenant: &str, gateway: &GatewayId) -> Query {
    Query::from(GET).bind(tenant.to_owned()).bind(gateway.as_str().to_owned())
}

fn answer(tenant: &str, gateway: &GatewayId, message: &str) -> Query {
    Query::from(GET_ANSWER).bind(tenant.to_owned()).bind(gateway.as_str().to_owned()).bind(message.to_owned())
}

fn decode(row: &Row) -> Result<Gateway, StorageError> {
    read(&mut Cells::of("gateways", row))
}

fn read(cells: &mut Cells<'_>) -> Result<Gateway, StorageError> {
    Ok(Gateway {
        id: cells.parsed()?,
        number: cells.text()?,
        provider: provider(cells)?,
        secret: cells.bytes()?,
        serves: serves(cells)?,
    })
}

/// The generic gateway's address, and any other provider's JSON.
fn columns(provider: &Provider) -> (String, Option<String>) {
    match provider {
        Provider::Webhook { send_url } => (send_url.clone(), None),
        Provider::Twilio(_) | Provider::Smpp(_) => (String::new(), serde_json::to_string(provider).ok()),
    }
}

fn serves(cells: &mut Cells<'_>) -> Result<Vec<String>, StorageError> {
    match cells.optional_text()? {
        None => Ok(Vec::new()),
        Some(json) => serde_json::from_str(&json).or_else(|_| cells.corrupt()),
    }
}

fn provider(cells: &mut Cells<'_>) -> Result<Provider, StorageError> {
    let send_url = cells.text()?;
    match cells.optional_text()? {
        None => Ok(Provider::Webhook { send_url }),
        Some(json) => serde_json::from_str(&json).or_else(|_| cells.corrupt()),
    }
}

fn decode_answer(row: &Row) -> Result<TransitAnswer, StorageError> {
    let mut cells = Cells::of("transit_answers", row);
    Ok(TransitAnswer {
        gateway: cells.parsed()?,
        message: cells.text()?,
        digest: cells.array()?,
        status: cells.number()?,
        answer: cells.text()?,
        at: cells.timestamp()?,
    })
}
