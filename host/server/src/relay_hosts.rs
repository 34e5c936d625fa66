//! Relay hosts (REL-1): one is built into each node, others run apart (`switchhook relay`).
//!
//! All are rows of one table. A node keeps the row of its own ([`built_in`]); a host [`apart`] tells any node over
//! HTTPS that it lives, and is told what it needs ([`told`]): its own keys, never others', the addresses of the other
//! hosts, and which participants of its allocations take part no more. Choices read the table.

pub(crate) mod apart;
pub(crate) mod built_in;
pub(crate) mod link;
pub(crate) mod seen;
pub(crate) mod told;

use std::{net::IpAddr, time::Duration};

use switchhook_core::relay_host::RelayHost;
use switchhook_protocol::{
    id::RelayHostId,
    time::{Timestamp, millis},
};
use switchhook_storage::StorageError;

use crate::app::App;

/// Built-in hosts that were not seen for so long are forgotten: their nodes do not come back there.
const FORGOTTEN: Duration = Duration::from_hours(24);

/// All that are known, in the order of their ids. This node's own is as it is now.
pub(crate) async fn all(app: &App) -> Result<Vec<RelayHost>, StorageError> {
    let mut hosts = app.storage.relay_hosts().all().await?;
    if let Some(own) = hosts.iter_mut().find(|host| host.id == app.relay.id) {
        own.said = app.relay.said();
        own.seen_at = app.now();
    }
    Ok(hosts)
}

/// This node's own relay host enters. A file has one node: what others left there is of nobody.
pub(crate) async fn enter(app: &App) -> Result<(), StorageError> {
    let (hosts, now) = (app.storage.relay_hosts(), app.now());
    let since = if app.storage.is_shared() {
        Timestamp::from_millis(now.as_millis().saturating_sub(millis(FORGOTTEN)))
    } else {
        now
    };
    hosts.forget_built_in(since).await?;
    hosts.beat((&app.relay.id, true), &app.relay.said(), now).await
}

/// This node's own relay host ends.
pub(crate) async fn leave(app: &App) -> Result<(), StorageError> {
    app.storage.relay_hosts().leave(&app.relay.id).await
}

/// Where the others relay from, those that were not seen for long left out.
pub(crate) fn others(hosts: &[RelayHost], own: &RelayHostId, now: Timestamp) -> Vec<IpAddr> {
    let others = hosts.iter().filter(|host| host.id != *own && host.is_reached(now));
    let mut addresses: Vec<_> = others.flat_map(|host| host.said.addresses.relayed()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
