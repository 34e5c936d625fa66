//! SMS transits, and what their messages were answered with (REG-2).

use switchhook_core::row::{Gateway, TransitAnswer};
use switchhook_protocol::id::GatewayId;

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const PUT: &str = "INSERT INTO gateways (tenant, gateway, number, send_url, secret) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (tenant, gateway) DO UPDATE \
     SET number = excluded.number, send_url = excluded.send_url, secret = excluded.secret";
const GET: &str = "SELECT gateway, number, send_url, secret FROM gateways WHERE tenant = $1 AND gateway = $2";
const LIST: &str =
    "SELECT gateway, number, send_url, secret FROM gateways WHERE tenant = $1 ORDER BY gateway";
const PUT_ANSWER: &str = "INSERT INTO transit_answers (tenant, gateway, message, digest, status, answer, at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const GET_ANSWER: &str = "SELECT gateway, message, digest, status, answer, at FROM transit_answers \
     WHERE tenant = $1 AND gateway = $2 AND message = $3";

/// The transits of a tenant.
#[derive(Debug)]
pub struct Gateways<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The transits.
    pub const fn gateways(&self) -> Gateways<'_> {
        Gateways(self)
    }
}

impl Gateways<'_> {
    /// The transit of this name.
    pub async fn get(&self, gateway: &GatewayId) -> Result<Option<Gateway>, StorageError> {
        self.0.storage().one(get(self.0.tenant().as_str(), gateway), decode).await
    }

    /// All, by name.
    pub async fn list(&self) -> Result<Vec<Gateway>, StorageError> {
        let query = Query::from(LIST).bind(self.0.tenant().as_str().to_owned());
        self.0.storage().all(query, decode).await
    }

    /// What a message of a transit was answered with.
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
    /// Stores a transit; one of the same name takes the place of the former.
    pub async fn put_gateway(&mut self, gateway: &Gateway) -> Result<(), StorageError> {
        let query = Query::from(PUT)
            .bind(self.tenant().to_owned())
            .bind(gateway.id.as_str().to_owned())
            .bind(gateway.number.clone())
            .bind(gateway.send_url.clone())
            .bind(gateway.secret.clone());
        self.write(query).await.map(drop)
    }

    /// The transit of this name.
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
    let mut cells = Cells::of("gateways", row);
    Ok(Gateway {
        id: cells.parsed()?,
        number: cells.text()?,
        send_url: cells.text()?,
        secret: cells.bytes()?,
    })
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
