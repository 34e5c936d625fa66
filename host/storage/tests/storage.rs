//! What storage promises, the same on every database.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: also in the helpers below them, which the lints do not take for tests"
)]

#[path = "storage/fixture.rs"]
#[macro_use]
mod fixture;

#[path = "storage/backup.rs"]
mod backup;
#[path = "storage/costs.rs"]
mod costs;
#[path = "storage/crash.rs"]
mod crash;
#[path = "storage/gateways.rs"]
mod gateways;
#[path = "storage/group.rs"]
mod group;
#[path = "storage/history.rs"]
mod history;
#[path = "storage/lives.rs"]
mod lives;
#[path = "storage/mail.rs"]
mod mail;
#[path = "storage/mailbox.rs"]
mod mailbox;
#[path = "storage/nodes.rs"]
mod nodes;
#[path = "storage/operator.rs"]
mod operator;
#[path = "storage/outbox.rs"]
mod outbox;
#[path = "storage/paths.rs"]
mod paths;
#[path = "storage/person.rs"]
mod person;
#[path = "storage/postgres.rs"]
mod postgres;
#[path = "storage/profiles.rs"]
mod profiles;
#[path = "storage/registration.rs"]
mod registration;
#[path = "storage/relay_hosts.rs"]
mod relay_hosts;
#[path = "storage/reopen.rs"]
mod reopen;
#[path = "storage/ringing.rs"]
mod ringing;
#[path = "storage/walls.rs"]
mod walls;
