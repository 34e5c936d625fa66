//! What Switchhook remembers.
//!
//! One SQLite file (WAL, `synchronous=FULL`), or one PostgreSQL database that several nodes share; a pool
//! of readers and, in each node, **one** writer with group commit. [`Storage::open`] gives it,
//! [`Storage::of`] a tenant's part: every row, key and question has a tenant, and nothing crosses.
//!
//! **Reads** go to the pool: `storage.of(tenant).devices().get(id)`. Absent is `Option`; a row that
//! breaks an invariant is [`StorageError::Corrupt`], a database that does not answer
//! [`StorageError::Away`].
//!
//! **Writes** are named transactions of a tenant, of two kinds. [`TenantStorage::commit`] takes
//! typed writes, the hot kinds, which depend on nothing stored; [`TenantStorage::run`] takes a closure
//! that reads and writes through a [`Transaction`] and awaits nothing else. Both are queued for the
//! writer, which takes what has gathered while it committed the last group, tenants in turn, applies
//! it in one database transaction, commits, and only then answers everybody:
//!
//! 1. Neighbouring typed jobs are applied together, one statement a kind for all of them.
//! 2. A closure runs in a savepoint of its own. It sees what earlier jobs of the group did.
//! 3. A job that fails is undone alone. When a statement for many jobs fails, they are undone
//!    together and applied again one by one, so that the guilty one is found.
//!
//! A confirmed write is on the disk. A job that waited too long and is given up is not performed
//! ([`StorageError::Busy`]).
//!
//! **Several nodes** on one PostgreSQL come to the same as one: at the begin of a group its writer waits for the
//! turn of each tenant in it, so that the transactions of a tenant are serial over all nodes
//! ([`dialect::turns`]). A writer whose connection is lost makes a new one. The jobs of the group that was lost with it
//! hear [`StorageError::Away`], those that come later are done.
//!
//! The SQL is what SQLite and PostgreSQL share; the rest stands in [`dialect`].

mod admin_tokens;
mod answers;
mod attempts;
mod audit;
mod backup;
mod batch;
mod blocks;
mod carriers;
mod cells;
mod client_authority;
mod conversions;
mod credentials;
mod database;
mod deadlines;
mod devices;
mod dialect;
mod durability;
mod error;
mod gateways;
mod installation;
mod job;
mod lifecycle;
pub mod limits;
mod mail_server;
mod mailbox;
pub mod metrics;
mod nodes;
mod opt_outs;
mod outbox;
mod pairs;
mod paths;
mod person;
mod plugin_log;
mod plugin_secrets;
mod plugins;
#[cfg(test)]
mod power_loss;
mod profiles;
mod queue;
mod registrations;
mod relay_hosts;
mod secrets;
mod sessions;
mod sweep;
mod tenants;
mod text_parts;
mod text_policy;
mod timers;
mod transaction;
mod users;
mod validations;
mod words;
#[expect(
    clippy::future_not_send,
    reason = "it lives on a thread of its own, and closures' futures stay there"
)]
mod writer;
pub mod yardstick;

pub use admin_tokens::{AdminToken, AdminTokens};
pub use answers::Answers;
pub use attempts::{Attempts, PutAttempt};
pub use audit::{Audit, AuditEntry};
pub use backup::{Adopted, CopyError, copy, verify};
pub use batch::Committed;
pub use blocks::Blocks;
pub use conversions::Fared;
pub use database::Database;
pub use deadlines::DueDeadline;
pub use devices::Devices;
pub use error::{DriverError, OpenError, StorageError};
pub use gateways::{Gateways, KeptGateway};
pub use installation::KeysProof;
pub use lifecycle::{Clock, Settings, Storage, TenantStorage};
pub use mail_server::StoredMailServer;
pub use mailbox::Mailbox;
pub use nodes::Nodes;
pub use outbox::Outbox;
pub use pairs::Pairs;
pub use person::{Erased, Person};
pub use plugin_log::{PluginLine, PluginLog};
pub use plugins::{NamedVersion, Plugins};
pub use profiles::Profiles;
pub use registrations::{Held, Page, Registrations};
pub use relay_hosts::RelayHosts;
pub use sessions::Sessions;
pub use sweep::Swept;
pub use tenants::Tenants;
pub use timers::{DueTimer, Timers};
pub use transaction::Transaction;
pub use users::Users;
