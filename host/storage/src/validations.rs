//! Mail addresses that applications have validated (REG-18).

use switchhook_core::row::Validation;
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{ApplicationId, AttemptId, ValidationId},
    time::Timestamp,
};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const PUT: &str = "INSERT INTO validations \
     (tenant, application, validation, attempt, address, asked_at, expires_at, validated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const GET: &str = "SELECT application, validation, attempt, address, asked_at, expires_at, validated_at \
     FROM validations WHERE tenant = $1 AND application = $2 AND validation = $3";
const OF_ATTEMPT: &str = "SELECT application, validation, attempt, address, asked_at, expires_at, validated_at \
     FROM validations WHERE tenant = $1 AND attempt = $2";
const OF_ADDRESS: &str = "SELECT application, validation, attempt, address, asked_at, expires_at, validated_at \
     FROM validations WHERE tenant = $1 AND address = $2 ORDER BY application, validation";
const VALIDATED: &str =
    "UPDATE validations SET validated_at = $3 WHERE tenant = $1 AND attempt = $2 AND validated_at IS NULL";

impl TenantStorage {
    /// An application's validation.
    pub async fn validation(
        &self,
        application: &ApplicationId,
        id: &ValidationId,
    ) -> Result<Option<Validation>, StorageError> {
        self.storage().one(named(self.tenant().as_str(), application, id), decode).await
    }

    /// The validation that a mail or a token belongs to.
    pub async fn validation_of(&self, attempt: &AttemptId) -> Result<Option<Validation>, StorageError> {
        let query = Query::from(OF_ATTEMPT).bind(self.tenant().as_str().to_owned());
        self.storage().one(query.bind(attempt.as_str().to_owned()), decode).await
    }

    /// All of an address.
    pub(crate) async fn validations_of(&self, address: &EndpointId) -> Result<Vec<Validation>, StorageError> {
        let query = Query::from(OF_ADDRESS).bind(self.tenant().as_str().to_owned());
        self.storage().all(query.bind(address.reveal().to_owned()), decode).await
    }
}

impl Transaction<'_> {
    /// An application's validation.
    pub async fn validation(
        &mut self,
        application: &ApplicationId,
        id: &ValidationId,
    ) -> Result<Option<Validation>, StorageError> {
        let query = named(self.tenant(), application, id);
        self.one(query, decode).await
    }

    /// Stores a new one; its name is free.
    pub async fn put_validation(&mut self, validation: &Validation) -> Result<(), StorageError> {
        let query = Query::from(PUT)
            .bind(self.tenant().to_owned())
            .bind(validation.application.as_str().to_owned())
            .bind(validation.id.as_str().to_owned())
            .bind(validation.attempt.as_str().to_owned())
            .bind(validation.address.reveal().to_owned())
            .bind(millis(validation.asked_at))
            .bind(millis(validation.expires_at))
            .bind(validation.validated_at.map(millis));
        self.write(query).await.map(drop)
    }

    /// Its token came back; says whether that is the first time.
    pub async fn validated(&mut self, attempt: &AttemptId, at: Timestamp) -> Result<bool, StorageError> {
        let query = Query::from(VALIDATED)
            .bind(self.tenant().to_owned())
            .bind(attempt.as_str().to_owned())
            .bind(millis(at));
        Ok(self.write(query).await? > 0)
    }
}

fn named(tenant: &str, application: &ApplicationId, id: &ValidationId) -> Query {
    Query::from(GET)
        .bind(tenant.to_owned())
        .bind(application.as_str().to_owned())
        .bind(id.as_str().to_owned())
}

fn decode(row: &Row) -> Result<Validation, StorageError> {
    let mut cells = Cells::of("validations", row);
    Ok(Validation {
        application: cells.parsed()?,
        id: cells.parsed()?,
        attempt: cells.parsed()?,
        address: cells.parsed()?,
        asked_at: cells.timestamp()?,
        expires_at: cells.timestamp()?,
        validated_at: cells.optional_timestamp()?,
    })
}
