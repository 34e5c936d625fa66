//! One person's data: everything that the host has of an identifier, shown or erased (REG-11).
//!
//! An identifier stands in rows of its own (registrations, blocks, secrets, wishes), in sessions, and in texts that
//! were made of it: events in mailboxes, also in those of others, answers kept for repeats, keys of attempts, lines
//! and pairs that plugins wrote. Rows are found by their columns, texts by looking into them. A device that nothing
//! else reaches belongs to the person and goes with it; one that has other identifiers stays for these.
//!
//! What is sealed or hashed (the parts of a text on its way, a router's course) is not found here; it ends with its
//! session or attempt, which are found, or within hours. What the outbox keeps for longer is opened by who has the keys,
//! page by page ([`TenantStorage::outbox_page`]). A tenant's own settings are the tenant's to edit.

mod erase;

use switchhook_core::row::{Attempt, Device, Registration, Session, User, Validation};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{DeviceId, ProfileId},
    registration::AddressState,
    time::Timestamp,
};

pub use self::erase::Erased;
use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    registrations::{Held, Page},
    sessions::decode_session,
    words::Word as _,
};

const SESSIONS: &str = "SELECT session, application, inviter, inviter_endpoint, purpose, created_at, expires_at, \
         generation, routing, take \
     FROM sessions WHERE tenant = $1 AND session IN ( \
         SELECT session FROM sessions WHERE tenant = $1 AND inviter_endpoint = $2 \
         UNION SELECT session FROM invitations WHERE tenant = $1 AND endpoint = $2 \
         UNION SELECT session FROM participants WHERE tenant = $1 AND endpoint = $2 \
         UNION SELECT session FROM forwards WHERE tenant = $1 AND endpoint = $2) \
     ORDER BY created_at, session";
const OPTED_OUT: &str = "SELECT number, since FROM opt_outs WHERE tenant = $1 AND number = $2";
const ATTEMPTS: &str = "SELECT attempt, method, key, device, plugin_version, state, version, expires_at, finished, \
         profile \
     FROM attempts WHERE tenant = $1 AND (device IN \
         (SELECT device FROM registrations WHERE tenant = $1 AND endpoint = $2) \
         OR attempt IN (SELECT attempt FROM secrets WHERE tenant = $1 AND endpoint = $2)) ORDER BY attempt";
const PROFILES: &str = "SELECT p.profile, a.state FROM profiles AS p LEFT JOIN profile_addresses AS a \
         ON a.tenant = p.tenant AND a.profile = p.profile AND a.address = $2 \
     WHERE p.tenant = $1 AND (p.user_id = $2 OR a.state IS NOT NULL) ORDER BY p.profile";
const WAITING: &str = "SELECT device, event FROM messages WHERE tenant = $1 AND device IN \
     (SELECT device FROM registrations WHERE tenant = $1 AND endpoint = $2) ORDER BY device, seq";

/// Most registrations of one identifier that are shown: more devices are nobody's.
const DEVICES: u32 = 10_000;

/// What the host has of an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Where it is registered.
    pub registrations: Vec<Registration>,
    /// These devices.
    pub devices: Vec<Device>,
    /// Whom it has blocked.
    pub blocked: Vec<EndpointId>,
    /// Since when it wants no texts.
    pub opted_out_since: Option<Timestamp>,
    /// Sessions that it began, was invited to or took part in.
    pub sessions: Vec<Session>,
    /// Registrations under way on its devices, or of itself.
    pub attempts: Vec<Attempt>,
    /// The user of the built-in directory that it is.
    pub user: Option<User>,
    /// Validations of it as a mail address, for applications.
    pub validations: Vec<Validation>,
    /// Profiles that have it as an address, or are its own, and its state there.
    pub profiles: Vec<(ProfileId, Option<AddressState>)>,
    /// Events that wait for its devices and name it, as JSON.
    pub waiting: Vec<(DeviceId, String)>,
}

impl TenantStorage {
    /// Everything of an identifier, for itself.
    pub async fn person(&self, endpoint: &EndpointId) -> Result<Person, StorageError> {
        let page = Page { application: None, after: None, limit: DEVICES };
        let registrations = self.registrations().held(&Held::By(endpoint.clone()), page).await?;
        let mut devices = Vec::new();
        for registration in &registrations {
            devices.extend(self.devices().get(&registration.device).await?);
        }
        let of = |statement: &'static str| {
            Query::from(statement).bind(self.tenant().as_str().to_owned()).bind(endpoint.reveal().to_owned())
        };
        let storage = self.storage();
        Ok(Person {
            registrations,
            devices,
            blocked: self.blocks().of(endpoint).await?,
            opted_out_since: storage.one(of(OPTED_OUT), since).await?,
            sessions: storage.all_at_leisure(of(SESSIONS), decode_session).await?,
            attempts: storage.all_at_leisure(of(ATTEMPTS), crate::attempts::decode).await?,
            user: self.users().get(endpoint).await?,
            validations: self.validations_of(endpoint).await?,
            profiles: storage.all(of(PROFILES), profile).await?,
            waiting: named(endpoint, storage.all(of(WAITING), waiting).await?),
        })
    }
}

/// A device may be another person's too: what does not name this one is not shown.
fn named(endpoint: &EndpointId, events: Vec<(DeviceId, String)>) -> Vec<(DeviceId, String)> {
    events.into_iter().filter(|(_, event)| event.contains(endpoint.reveal())).collect()
}

fn since(row: &Row) -> Result<Timestamp, StorageError> {
    let mut cells = Cells::of("opt_outs", row);
    cells.text()?;
    cells.timestamp()
}

fn profile(row: &Row) -> Result<(ProfileId, Option<AddressState>), StorageError> {
    let mut cells = Cells::of("profiles", row);
    let profile = cells.parsed()?;
    let state = cells.optional_text()?.map(|word| AddressState::from_word(&word));
    match state {
        None => Ok((profile, None)),
        Some(None) => cells.corrupt(),
        Some(state) => Ok((profile, state)),
    }
}

fn waiting(row: &Row) -> Result<(DeviceId, String), StorageError> {
    let mut cells = Cells::of("messages", row);
    Ok((cells.parsed()?, cells.text()?))
}
