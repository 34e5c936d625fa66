//! Erasing a person, in one transaction.

use switchhook_core::policy::registration::Pair;
use switchhook_protocol::{endpoint::EndpointId, id::DeviceId};

use crate::{
    cells::{Cells, integer},
    dialect::{Query, Row},
    error::StorageError,
    transaction::Transaction,
};

const REACHED: &str = "SELECT device FROM registrations WHERE tenant = $1 AND endpoint = $2 ORDER BY device";
const ALONE: &str = "SELECT g.device FROM registrations AS g WHERE g.tenant = $1 AND g.endpoint = $2 AND NOT EXISTS \
     (SELECT 1 FROM registrations AS o WHERE o.tenant = g.tenant AND o.device = g.device AND o.endpoint <> g.endpoint) \
     ORDER BY g.device";
const SESSIONS: &str = "SELECT session FROM sessions WHERE tenant = $1 AND inviter_endpoint = $2 \
     UNION SELECT session FROM invitations WHERE tenant = $1 AND endpoint = $2 \
     UNION SELECT session FROM participants WHERE tenant = $1 AND endpoint = $2 \
     UNION SELECT session FROM forwards WHERE tenant = $1 AND endpoint = $2";

/// Of each session, apart from what every sweep forgets.
const OF_SESSION: [&str; 2] = [
    "DELETE FROM participants WHERE tenant = $1 AND session = $2",
    "DELETE FROM sessions WHERE tenant = $1 AND session = $2",
];

/// Of each device that the identifier reaches.
const OF_REACHED: [&str; 4] = [
    "DELETE FROM deadlines WHERE tenant = $1 AND attempt IN (SELECT attempt FROM attempts WHERE tenant = $1 AND device = $2)",
    "DELETE FROM outbox WHERE tenant = $1 AND attempt IN (SELECT attempt FROM attempts WHERE tenant = $1 AND device = $2)",
    "DELETE FROM secrets WHERE tenant = $1 AND device = $2",
    "DELETE FROM attempts WHERE tenant = $1 AND device = $2",
];

/// Of each device that nothing else reaches; what refers to others first.
const OF_DEVICE: [&str; 10] = [
    "DELETE FROM address_devices WHERE tenant = $1 AND device = $2",
    "DELETE FROM credentials WHERE tenant = $1 AND device = $2",
    "DELETE FROM legs WHERE tenant = $1 AND device = $2",
    "DELETE FROM participants WHERE tenant = $1 AND device = $2",
    "DELETE FROM messages WHERE tenant = $1 AND device = $2",
    "DELETE FROM answers WHERE tenant = $1 AND device = $2",
    "DELETE FROM request_nonces WHERE tenant = $1 AND device = $2",
    "DELETE FROM registrations WHERE tenant = $1 AND device = $2",
    "DELETE FROM mailboxes WHERE tenant = $1 AND device = $2",
    "DELETE FROM devices WHERE tenant = $1 AND device = $2",
];

/// Of the identifier.
const OF_IDENTIFIER: [&str; 12] = [
    "DELETE FROM credentials WHERE tenant = $1 AND (endpoint = $2 OR profile IN (SELECT profile FROM profiles WHERE tenant = $1 AND user_id = $2))",
    "DELETE FROM address_devices WHERE tenant = $1 AND (address = $2 OR profile IN (SELECT profile FROM profiles WHERE tenant = $1 AND user_id = $2))",
    "DELETE FROM profile_addresses WHERE tenant = $1 AND (address = $2 OR profile IN (SELECT profile FROM profiles WHERE tenant = $1 AND user_id = $2))",
    "DELETE FROM profiles WHERE tenant = $1 AND user_id = $2",
    "DELETE FROM users WHERE tenant = $1 AND user_id = $2",
    "DELETE FROM outbox WHERE tenant = $1 AND attempt IN (SELECT attempt FROM secrets WHERE tenant = $1 AND endpoint = $2)",
    "DELETE FROM attempts WHERE tenant = $1 AND attempt IN (SELECT attempt FROM secrets WHERE tenant = $1 AND endpoint = $2)",
    "DELETE FROM secrets WHERE tenant = $1 AND endpoint = $2",
    "DELETE FROM validations WHERE tenant = $1 AND address = $2",
    "DELETE FROM registrations WHERE tenant = $1 AND endpoint = $2",
    "DELETE FROM blocks WHERE tenant = $1 AND (endpoint = $2 OR who = $2)",
    "DELETE FROM opt_outs WHERE tenant = $1 AND number = $2",
];

const MESSAGES: &str =
    "SELECT device, seq, event FROM messages WHERE tenant = $1 AND event LIKE $2 ESCAPE '\\'";
const DROP_MESSAGE: &str = "DELETE FROM messages WHERE tenant = $1 AND device = $2 AND seq = $3";
const ANSWERS: &str =
    "SELECT device, key, answer FROM answers WHERE tenant = $1 AND answer LIKE $2 ESCAPE '\\'";
const DROP_ANSWER: &str = "DELETE FROM answers WHERE tenant = $1 AND device = $2 AND key = $3";
const ATTEMPTS: &str = "SELECT attempt, key, key FROM attempts WHERE tenant = $1 AND key LIKE $2 ESCAPE '\\'";
const OF_ATTEMPT: [&str; 3] = [
    "DELETE FROM outbox WHERE tenant = $1 AND attempt = $2",
    "DELETE FROM secrets WHERE tenant = $1 AND attempt = $2",
    "DELETE FROM attempts WHERE tenant = $1 AND attempt = $2",
];
const USERS: &str =
    "SELECT user_id, user_id, addresses FROM users WHERE tenant = $1 AND addresses LIKE $2 ESCAPE '\\'";
const LINES: &str =
    "SELECT slot, name, position, text FROM plugin_lines WHERE tenant = $1 AND text LIKE $2 ESCAPE '\\'";
const DROP_LINE: &str =
    "DELETE FROM plugin_lines WHERE tenant = $1 AND slot = $2 AND name = $3 AND position = $4";

/// What was erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// Devices that nothing else reached: their connections are to end.
    pub devices: Vec<DeviceId>,
    /// Devices that lost the identifier and stay for others.
    pub shared: u64,
    /// Sessions.
    pub sessions: u64,
    /// Events in mailboxes of others that named the person.
    pub messages: u64,
}

/// What finds a row, and its text.
type Found<T> = Result<(T, String), StorageError>;

impl Transaction<'_> {
    /// Erases everything of an identifier (see [`super`]).
    pub async fn erase_person(&mut self, endpoint: &EndpointId) -> Result<Erased, StorageError> {
        let name = endpoint.reveal();
        let reached: Vec<DeviceId> = self.all(self.of(REACHED, name), device).await?;
        let devices: Vec<DeviceId> = self.all(self.of(ALONE, name), device).await?;
        let sessions = self.erase_sessions(name).await?;
        for device in &reached {
            self.each(&OF_REACHED, device.as_str()).await?;
        }
        for device in &devices {
            self.each(&OF_DEVICE, device.as_str()).await?;
        }
        self.each(&OF_IDENTIFIER, name).await?;
        let messages = self.erase_messages(endpoint).await?;
        self.erase_texts(endpoint).await?;
        self.erase_pairs(name).await?;
        let shared = u64::try_from(reached.len() - devices.len()).unwrap_or_default();
        Ok(Erased { devices, shared, sessions, messages })
    }

    async fn erase_sessions(&mut self, name: &str) -> Result<u64, StorageError> {
        let found: Vec<String> =
            self.all(self.of(SESSIONS, name), |row| Cells::of("sessions", row).text()).await?;
        let keys: Vec<(&str, &String)> = found.iter().map(|session| (self.tenant(), session)).collect();
        for statement in crate::dialect::FORGET_SESSION {
            self.many(statement, &keys).await?;
        }
        for session in &found {
            self.each(&OF_SESSION, session).await?;
        }
        Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
    }

    /// Events that name the person; their mailboxes note that something is gone.
    async fn erase_messages(&mut self, endpoint: &EndpointId) -> Result<u64, StorageError> {
        let found = self.naming(MESSAGES, endpoint, numbered).await?;
        for (device, seq) in &found {
            let drop = self.of(DROP_MESSAGE, device).bind(integer(*seq));
            self.write(drop).await?;
        }
        let tenant = self.tenant().to_owned();
        let lost: Vec<_> = found.into_iter().map(|(device, seq)| (tenant.clone(), device, seq)).collect();
        self.lose(&lost).await?;
        Ok(u64::try_from(lost.len()).unwrap_or(u64::MAX))
    }

    async fn erase_texts(&mut self, endpoint: &EndpointId) -> Result<(), StorageError> {
        for (device, key) in self.naming(ANSWERS, endpoint, keyed).await? {
            let drop = self.of(DROP_ANSWER, &device).bind(key);
            self.write(drop).await?;
        }
        for (attempt, _) in self.naming(ATTEMPTS, endpoint, keyed).await? {
            self.each(&OF_ATTEMPT, &attempt).await?;
        }
        for (user, _) in self.naming(USERS, endpoint, keyed).await? {
            self.forget_known_address(&user, endpoint).await?;
        }
        for (slot, name, position) in self.naming(LINES, endpoint, line).await? {
            let drop = self.of(DROP_LINE, &slot).bind(name).bind(integer(position));
            self.write(drop).await?;
        }
        Ok(())
    }

    /// Pairs whose key or value has the identifier: what a tenant's plugins keep is bounded by their grants.
    async fn erase_pairs(&mut self, name: &str) -> Result<(), StorageError> {
        for (key, value) in self.pairs().await? {
            if key.contains(name) || value.windows(name.len()).any(|part| part == name.as_bytes()) {
                self.put_pair(&Pair { key, value: None }).await?;
            }
        }
        Ok(())
    }

    /// Rows whose text has the identifier. `LIKE` finds them in either case; the text itself is looked at.
    async fn naming<T>(
        &mut self,
        statement: &'static str,
        endpoint: &EndpointId,
        decode: impl Fn(&Row) -> Found<T>,
    ) -> Result<Vec<T>, StorageError> {
        let name = endpoint.reveal();
        let escaped = name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let found = self.all(self.of(statement, &format!("%{escaped}%")), decode).await?;
        Ok(found.into_iter().filter(|(_, text)| text.contains(name)).map(|(row, _)| row).collect())
    }

    async fn each(&mut self, statements: &[&'static str], name: &str) -> Result<(), StorageError> {
        for statement in statements {
            let query = self.of(statement, name);
            self.write(query).await?;
        }
        Ok(())
    }

    fn of(&self, statement: &'static str, name: &str) -> Query {
        Query::from(statement).bind(self.tenant().to_owned()).bind(name.to_owned())
    }
}

fn device(row: &Row) -> Result<DeviceId, StorageError> {
    Cells::of("registrations", row).parsed()
}

fn numbered(row: &Row) -> Found<(String, u64)> {
    let mut cells = Cells::of("messages", row);
    Ok(((cells.text()?, cells.number()?), cells.text()?))
}

fn keyed(row: &Row) -> Found<(String, String)> {
    let mut cells = Cells::of("answers", row);
    Ok(((cells.text()?, cells.text()?), cells.text()?))
}

fn line(row: &Row) -> Found<(String, String, u64)> {
    let mut cells = Cells::of("plugin_lines", row);
    Ok(((cells.text()?, cells.text()?, cells.number()?), cells.text()?))
}
