//! Parts of long texts, until the text is taken or they are too old.

use switchhook_core::row::TextPart;
use switchhook_protocol::id::GatewayId;

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    limits,
    transaction::Transaction,
};

const PUT: &str = "INSERT INTO text_parts (tenant, gateway, message, number, part, at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, gateway, message, number) DO UPDATE \
     SET part = excluded.part, at = excluded.at";
const BOUND: &str = "DELETE FROM text_parts WHERE tenant = $1 AND gateway = $2 AND at < \
     (SELECT kept.at FROM text_parts AS kept WHERE kept.tenant = $1 AND kept.gateway = $2 \
      ORDER BY kept.at DESC LIMIT 1 OFFSET CAST($3 AS BIGINT))";
const GET: &str = "SELECT message, number, part FROM text_parts \
     WHERE tenant = $1 AND gateway = $2 AND message = $3 ORDER BY number";
const FORGET: &str = "DELETE FROM text_parts WHERE tenant = $1 AND gateway = $2 AND message = $3";

impl Transaction<'_> {
    /// Keeps a part, in the place of the same one before; of a gateway the latest [`limits::PARTS`].
    pub async fn put_text_part(&mut self, part: &TextPart) -> Result<(), StorageError> {
        let (tenant, gateway) = (self.tenant().to_owned(), part.gateway.as_str().to_owned());
        let put = Query::from(PUT)
            .bind(tenant.clone())
            .bind(gateway.clone())
            .bind(part.message.clone())
            .bind(i64::from(part.number))
            .bind(part.part.clone())
            .bind(millis(part.at));
        self.write(put).await?;
        self.write(Query::from(BOUND).bind(tenant).bind(gateway).bind(limits::PARTS - 1)).await.map(drop)
    }

    /// The parts of a text that have come, in order: each with its number.
    pub async fn text_parts(
        &mut self,
        gateway: &GatewayId,
        message: &str,
    ) -> Result<Vec<(u8, Vec<u8>)>, StorageError> {
        let query = Query::from(GET)
            .bind(self.tenant().to_owned())
            .bind(gateway.as_str().to_owned())
            .bind(message.to_owned());
        self.all(query, decode).await
    }

    /// Forgets the parts of a text.
    pub async fn forget_text_parts(
        &mut self,
        gateway: &GatewayId,
        message: &str,
    ) -> Result<(), StorageError> {
        let query = Query::from(FORGET)
            .bind(self.tenant().to_owned())
            .bind(gateway.as_str().to_owned())
            .bind(message.to_owned());
        self.write(query).await.map(drop)
    }
}

fn decode(row: &Row) -> Result<(u8, Vec<u8>), StorageError> {
    let mut cells = Cells::of("text_parts", row);
    // Corrupt rows are named by their first column.
    cells.text()?;
    Ok((cells.number()?, cells.bytes()?))
}
