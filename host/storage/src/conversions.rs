//! How texts have fared, in hours: by gateway and calling code, and by the beginning of their numbers.

use switchhook_core::{
    row::OutboxKind,
    transit::conversion::{Conversion, calling_code, prefix},
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

const COUNT: &str = "INSERT INTO conversions (tenant, gateway, code, hour, sent, delivered, proven) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, gateway, code, hour) DO UPDATE \
     SET sent = conversions.sent + excluded.sent, delivered = conversions.delivered + excluded.delivered, \
     proven = conversions.proven + excluded.proven";
const COUNT_OF_PREFIX: &str = "INSERT INTO conversions_of_prefix (tenant, prefix, hour, sent, delivered, proven) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, prefix, hour) DO UPDATE \
     SET sent = conversions_of_prefix.sent + excluded.sent, \
     delivered = conversions_of_prefix.delivered + excluded.delivered, \
     proven = conversions_of_prefix.proven + excluded.proven";
const LATELY: &str = "SELECT gateway, code, CAST(SUM(sent) AS BIGINT), CAST(SUM(delivered) AS BIGINT), \
     CAST(SUM(proven) AS BIGINT) \
     FROM conversions WHERE tenant = $1 AND hour >= $2 GROUP BY gateway, code ORDER BY gateway, code";
const LATELY_OF_PREFIX: &str = "SELECT CAST(SUM(sent) AS BIGINT), CAST(SUM(delivered) AS BIGINT), \
     CAST(SUM(proven) AS BIGINT) \
     FROM conversions_of_prefix WHERE tenant = $1 AND prefix = $2 AND hour >= $3 GROUP BY prefix";
const GATEWAY: &str = "SELECT gateway FROM outbox WHERE tenant = $1 AND attempt = $2 AND kind = $3 \
     AND gateway IS NOT NULL ORDER BY queued_at DESC LIMIT 1";

/// How texts by a gateway to a calling code have fared.
pub type Fared = (GatewayId, String, Conversion);

const SENT: Conversion = Conversion { sent: 1, delivered: 0, proven: 0 };
const DELIVERED: Conversion = Conversion { sent: 0, delivered: 1, proven: 0 };
const PROVEN: Conversion = Conversion { sent: 0, delivered: 0, proven: 1 };

impl Gateways<'_> {
    /// How texts have fared in the last [`limits::LATELY`], by gateway and calling code.
    pub async fn conversions(&self, now: Timestamp) -> Result<Vec<Fared>, StorageError> {
        let query = Query::from(LATELY)
            .bind(self.of().tenant().as_str().to_owned())
            .bind(integer(hour(now).saturating_sub(limits::LATELY)));
        self.of().storage().all(query, decode).await
    }

    /// How texts to numbers that begin so have fared in the last [`limits::LATELY`], by whichever gateway. `beginning`
    /// is what [`prefix`] made of a number.
    pub async fn conversion_of_prefix(
        &self,
        beginning: &str,
        now: Timestamp,
    ) -> Result<Conversion, StorageError> {
        let query = Query::from(LATELY_OF_PREFIX)
            .bind(self.of().tenant().as_str().to_owned())
            .bind(beginning.to_owned())
            .bind(integer(hour(now).saturating_sub(limits::LATELY)));
        let decode = |row: &Row| conversion(&mut Cells::of("conversions_of_prefix", row));
        Ok(self.of().storage().one(query, decode).await?.unwrap_or_default())
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
        self.count(gateway, to, SENT, now).await
    }

    /// Counts a text of which its gateway says that it arrived.
    pub async fn count_delivery(
        &mut self,
        gateway: &GatewayId,
        to: &EndpointId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.count(gateway, to, DELIVERED, now).await
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
            Some(gateway) => self.count(&gateway, by, PROVEN, now).await,
            None => Ok(()),
        }
    }

    async fn count(
        &mut self,
        gateway: &GatewayId,
        number: &EndpointId,
        more: Conversion,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let (Some(code), Some(beginning)) = (calling_code(number), prefix(number)) else { return Ok(()) };
        let by_gateway = Query::from(COUNT)
            .bind(self.tenant().to_owned())
            .bind(gateway.as_str().to_owned())
            .bind(code.to_owned())
            .bind(integer(hour(now)));
        let by_prefix = Query::from(COUNT_OF_PREFIX)
            .bind(self.tenant().to_owned())
            .bind(beginning.to_owned())
            .bind(integer(hour(now)));
        for query in [by_gateway, by_prefix] {
            let query = query.bind(i64::from(more.sent)).bind(i64::from(more.delivered));
            self.write(query.bind(i64::from(more.proven))).await?;
        }
        Ok(())
    }
}

/// Hours since 1970.
pub(crate) fn hour(at: Timestamp) -> u64 {
    at.as_millis() / millis(std::time::Duration::from_hours(1))
}

fn decode(row: &Row) -> Result<Fared, StorageError> {
    let mut cells = Cells::of("conversions", row);
    Ok((cells.parsed()?, cells.text()?, conversion(&mut cells)?))
}

fn conversion(cells: &mut Cells<'_>) -> Result<Conversion, StorageError> {
    Ok(Conversion { sent: cells.number()?, delivered: cells.number()?, proven: cells.number()? })
}
