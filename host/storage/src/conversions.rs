//! How texts have fared, by gateway and calling code, in hours.

use switchhook_core::{
    row::OutboxKind,
    transit::choice::{Conversion, calling_code},
};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{AttemptId, GatewayId},
    time::{Timestamp, millis},
};

use crate::{
    cells::{Cells, integer},
    dialect::{Query, Row},
    error::StorageError,
    gateways::Gateways,
    limits,
    transaction::Transaction,
    words::Word as _,
};

const COUNT: &str = "INSERT INTO conversions (tenant, gateway, code, hour, sent, proven) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, gateway, code, hour) DO UPDATE \
     SET sent = conversions.sent + excluded.sent, proven = conversions.proven + excluded.proven";
const LATELY: &str = "SELECT gateway, code, CAST(SUM(sent) AS BIGINT), CAST(SUM(proven) AS BIGINT) \
     FROM conversions WHERE tenant = $1 AND hour >= $2 GROUP BY gateway, code ORDER BY gateway, code";
const GATEWAY: &str = "SELECT gateway FROM outbox WHERE tenant = $1 AND attempt = $2 AND kind = $3 \
     AND gateway IS NOT NULL ORDER BY queued_at DESC LIMIT 1";

/// How texts by a gateway to a calling code have fared.
pub type Fared = (GatewayId, String, Conversion);

impl Gateways<'_> {
    /// How texts have fared in the last [`limits::LATELY`].
    pub async fn conversions(&self, now: Timestamp) -> Result<Vec<Fared>, StorageError> {
        let since = hour(now).saturating_sub(limits::LATELY);
        let query = Query::from(LATELY).bind(self.of().tenant().as_str().to_owned()).bind(integer(since));
        self.of().storage().all(query, decode).await
    }
}

impl Transaction<'_> {
    /// Counts a text that was handed to a gateway.
    pub async fn count_text(
        &mut self,
        gateway: &GatewayId,
        to: &EndpointId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.count(gateway, to, Conversion { sent: 1, proven: 0 }, now).await
    }

    /// Counts a proof for the gateway that carried it.
    pub async fn count_proof(
        &mut self,
        attempt: &AttemptId,
        by: &EndpointId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let query = Query::from(GATEWAY)
            .bind(self.tenant().to_owned())
            .bind(attempt.as_str().to_owned())
            .bind(OutboxKind::Text.word());
        let gateway: Option<GatewayId> = self.one(query, |row| Cells::of("outbox", row).parsed()).await?;
        match gateway {
            Some(gateway) => self.count(&gateway, by, Conversion { sent: 0, proven: 1 }, now).await,
            None => Ok(()),
        }
    }

    async fn count(
        &mut self,
        gateway: &GatewayId,
        number: &EndpointId,
        conversion: Conversion,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let Some(code) = calling_code(number) else { return Ok(()) };
        let query = Query::from(COUNT)
            .bind(self.tenant().to_owned())
            .bind(gateway.as_str().to_owned())
            .bind(code.to_owned())
            .bind(integer(hour(now)))
            .bind(i64::from(conversion.sent))
            .bind(i64::from(conversion.proven));
        self.write(query).await.map(drop)
    }
}

/// Hours since 1970.
pub(crate) fn hour(at: Timestamp) -> u64 {
    at.as_millis() / millis(std::time::Duration::from_hours(1))
}

fn decode(row: &Row) -> Result<Fared, StorageError> {
    let mut cells = Cells::of("conversions", row);
    let (gateway, code) = (cells.parsed()?, cells.text()?);
    Ok((gateway, code, Conversion { sent: cells.number()?, proven: cells.number()? }))
}
