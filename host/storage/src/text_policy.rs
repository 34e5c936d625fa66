//! Whom a tenant texts, and what it has spent on that.

use switchhook_core::transit::policy::TextPolicy;

use crate::{
    cells::{Cells, integer},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const GET: &str = "SELECT tenant, per_day, countries, only_valid FROM text_policies WHERE tenant = $1";
const PUT: &str = "INSERT INTO text_policies (tenant, per_day, countries, only_valid) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (tenant) DO UPDATE SET per_day = excluded.per_day, countries = excluded.countries, \
     only_valid = excluded.only_valid";
const SPEND: &str = "INSERT INTO text_spending (tenant, day, parts) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, day) DO UPDATE SET parts = text_spending.parts + excluded.parts \
     RETURNING tenant, parts";
const FORGET: &str = "DELETE FROM text_spending WHERE tenant = $1 AND day < $2";

impl TenantStorage {
    /// The tenant's policy; the default if it has set none.
    pub async fn text_policy(&self) -> Result<TextPolicy, StorageError> {
        let query = Query::from(GET).bind(self.tenant().as_str().to_owned());
        Ok(self.storage().one(query, decode).await?.unwrap_or_default())
    }
}

impl Transaction<'_> {
    /// Sets the tenant's policy.
    pub async fn put_text_policy(&mut self, policy: &TextPolicy) -> Result<(), StorageError> {
        let query = Query::from(PUT)
            .bind(self.tenant().to_owned())
            .bind(policy.per_day.map(i64::from))
            .bind(serde_json::to_string(&policy.countries).unwrap_or_default())
            .bind(i64::from(policy.only_valid));
        self.write(query).await.map(drop)
    }

    /// Adds short messages to what the tenant has spent on a day since 1970, and gives all of that day.
    pub async fn spend_texts(&mut self, parts: u32, day: u64) -> Result<u64, StorageError> {
        let query =
            Query::from(SPEND).bind(self.tenant().to_owned()).bind(integer(day)).bind(i64::from(parts));
        let spent = self.one(query, |row| {
            let mut cells = Cells::of("text_spending", row);
            cells.text()?;
            cells.number()
        });
        let spent = spent.await?.unwrap_or(0);
        if spent == u64::from(parts) {
            // The first of the day forgets the others.
            let query = Query::from(FORGET).bind(self.tenant().to_owned()).bind(integer(day));
            self.write(query).await?;
        }
        Ok(spent)
    }
}

fn decode(row: &Row) -> Result<TextPolicy, StorageError> {
    let mut cells = Cells::of("text_policies", row);
    cells.text()?;
    let per_day = cells.optional_number()?;
    let countries = cells.text()?;
    let countries = serde_json::from_str(&countries).or_else(|_| cells.corrupt())?;
    Ok(TextPolicy { per_day, countries, only_valid: cells.flag()? })
}
