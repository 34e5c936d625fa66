//! The built-in user directory (REG-6).

use switchhook_core::row::{User, UserState};
use switchhook_protocol::{endpoint::EndpointId, time::Timestamp};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
    words::Word as _,
};

const INSERT: &str = "INSERT INTO users (tenant, user_id, password, addresses, state, changed_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const GET: &str =
    "SELECT user_id, password, addresses, state, changed_at FROM users WHERE tenant = $1 AND user_id = $2";
const LIST: &str = "SELECT user_id, password, addresses, state, changed_at FROM users \
     WHERE tenant = $1 AND user_id > $2 ORDER BY user_id LIMIT CAST($3 AS BIGINT)";
const SET_PASSWORD: &str =
    "UPDATE users SET password = $3, changed_at = $4 WHERE tenant = $1 AND user_id = $2";
const SET: &str = "UPDATE users SET addresses = $3, state = $4 WHERE tenant = $1 AND user_id = $2";
const REMOVE: &str = "DELETE FROM users WHERE tenant = $1 AND user_id = $2";

/// The users of a tenant.
#[derive(Debug)]
pub struct Users<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The users.
    pub const fn users(&self) -> Users<'_> {
        Users(self)
    }
}

impl Users<'_> {
    /// The user of this id.
    pub async fn get(&self, user: &EndpointId) -> Result<Option<User>, StorageError> {
        let query = keyed(GET, self.0.tenant().as_str(), user);
        self.0.storage().one(query, decode).await
    }

    /// Those after this one, by id, at most so many.
    pub async fn list(&self, after: Option<&EndpointId>, limit: u32) -> Result<Vec<User>, StorageError> {
        let after = after.map_or("", EndpointId::reveal).to_owned();
        let query = Query::from(LIST).bind(self.0.tenant().as_str().to_owned()).bind(after).bind(limit);
        self.0.storage().all(query, decode).await
    }
}

impl Transaction<'_> {
    /// Stores a new user; false if there is one of this id.
    pub async fn add_user(&mut self, user: &User) -> Result<bool, StorageError> {
        let query = keyed(INSERT, self.tenant(), &user.id)
            .bind(user.password.clone())
            .bind(json(&user.addresses))
            .bind(user.state.word())
            .bind(millis(user.changed_at));
        Ok(self.write(query).await? > 0)
    }

    /// Gives a user another password; false if there is none of this id.
    pub async fn set_password(
        &mut self,
        user: &EndpointId,
        password: &str,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let query = keyed(SET_PASSWORD, self.tenant(), user).bind(password.to_owned()).bind(millis(at));
        Ok(self.write(query).await? > 0)
    }

    /// Says which addresses are a user's, and whether it may sign in; false if there is none of this id.
    pub async fn set_user(
        &mut self,
        user: &EndpointId,
        addresses: &[EndpointId],
        state: UserState,
    ) -> Result<bool, StorageError> {
        let query = keyed(SET, self.tenant(), user).bind(json(addresses)).bind(state.word());
        Ok(self.write(query).await? > 0)
    }

    /// The directory knows an address as a user's no more.
    pub(crate) async fn forget_known_address(
        &mut self,
        user: &str,
        address: &EndpointId,
    ) -> Result<(), StorageError> {
        let get = Query::from(GET).bind(self.tenant().to_owned()).bind(user.to_owned());
        let Some(user) = self.one(get, decode).await? else { return Ok(()) };
        let others: Vec<EndpointId> = user.addresses.into_iter().filter(|known| known != address).collect();
        self.set_user(&user.id, &others, user.state).await.map(drop)
    }

    /// Removes a user; false if there was none.
    pub async fn remove_user(&mut self, user: &EndpointId) -> Result<bool, StorageError> {
        let query = keyed(REMOVE, self.tenant(), user);
        Ok(self.write(query).await? > 0)
    }
}

fn keyed(statement: &'static str, tenant: &str, user: &EndpointId) -> Query {
    Query::from(statement).bind(tenant.to_owned()).bind(user.reveal().to_owned())
}

fn json(addresses: &[EndpointId]) -> String {
    serde_json::to_string(addresses).unwrap_or_default()
}

fn decode(row: &Row) -> Result<User, StorageError> {
    let mut cells = Cells::of("users", row);
    let (id, password, addresses) = (cells.parsed()?, cells.text()?, cells.text()?);
    let addresses = serde_json::from_str(&addresses).or_else(|_| cells.corrupt())?;
    Ok(User { id, password, addresses, state: cells.word()?, changed_at: cells.timestamp()? })
}
