//! Where a tenant's mails leave.

use switchhook_core::row::MailServer;

use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const GET: &str = "SELECT tenant, settings, password FROM mail_servers WHERE tenant = $1";
const PUT: &str = "INSERT INTO mail_servers (tenant, settings, password) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant) DO UPDATE SET settings = excluded.settings, password = excluded.password";
const REMOVE: &str = "DELETE FROM mail_servers WHERE tenant = $1";

/// A mail server with what it wants to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMailServer {
    /// The server.
    pub server: MailServer,
    /// The password of its user, sealed.
    pub password: Option<Vec<u8>>,
}

impl TenantStorage {
    /// The mail server of the tenant, if it has one.
    pub async fn mail_server(&self) -> Result<Option<StoredMailServer>, StorageError> {
        let query = Query::from(GET).bind(self.tenant().as_str().to_owned());
        self.storage().one(query, decode).await
    }
}

impl Transaction<'_> {
    /// Sets the tenant's mail server.
    pub async fn put_mail_server(&mut self, stored: &StoredMailServer) -> Result<(), StorageError> {
        let query = Query::from(PUT)
            .bind(self.tenant().to_owned())
            .bind(serde_json::to_string(&stored.server).unwrap_or_default())
            .bind(stored.password.clone());
        self.write(query).await.map(drop)
    }

    /// Removes it; false if there was none.
    pub async fn remove_mail_server(&mut self) -> Result<bool, StorageError> {
        Ok(self.write(Query::from(REMOVE).bind(self.tenant().to_owned())).await? > 0)
    }
}

fn decode(row: &Row) -> Result<StoredMailServer, StorageError> {
    let mut cells = Cells::of("mail_servers", row);
    cells.text()?;
    let settings = cells.text()?;
    let server = serde_json::from_str(&settings).or_else(|_| cells.corrupt())?;
    Ok(StoredMailServer { server, password: cells.optional_bytes()? })
}
