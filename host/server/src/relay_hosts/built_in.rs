//! The relay host inside a node.
//!
//! Its id follows from the address where it is reached, so that a node that starts again there has the same one, and
//! keeps nothing for it.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use data_encoding::HEXLOWER;
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use switchhook_core::{
    mint,
    relay_host::{BEAT, RelayAddresses, Said, TlsDoor},
};
use switchhook_protocol::{
    id::{InvalidId, RelayHostId},
    time::Timestamp,
};
use switchhook_relay::Relay;
use switchhook_storage::StorageError;
use tokio::{
    sync::Notify,
    time::{self, MissedTickBehavior},
};
use tracing::warn;

use super::{all, others};
use crate::{app::App, causes::Causes, settings};

/// What the ids of built-in relay hosts begin with.
const PREFIX: &str = "node-";

/// Whether this is the id of a relay host inside a node.
pub(crate) fn is_built_in(host: &RelayHostId) -> bool {
    host.as_str().starts_with(PREFIX)
}

/// The id of the relay host of these settings: of its address, and of no key, so that what was given out for it serves
/// when it is back with another. On a port of the system's choice it is another one at each start.
pub(crate) fn id(settings: &settings::Relay, rng: &mut impl CryptoRng) -> Result<RelayHostId, InvalidId> {
    let ip = settings.public_ip.unwrap_or_else(|| settings.listen.ip());
    let word = if settings.listen.port() == 0 {
        mint::word::<8>(rng)
    } else {
        let addr = SocketAddr::new(ip, settings.listen.port()).to_string();
        let digest = Sha256::digest(&addr);
        let (short, _) = digest.split_at(8);
        HEXLOWER.encode(short)
    };
    format!("{PREFIX}{word}").parse()
}

/// What a relay host says of itself when it starts.
pub(crate) fn said(settings: &settings::Relay, relay: &Relay) -> Said {
    let tls = relay.tls_addr().zip(settings.tls_name.clone());
    Said {
        region: settings.region.clone(),
        near: settings.near.clone(),
        addresses: RelayAddresses {
            main: relay.addr(),
            other: relay.other_addr(),
            tls: tls.map(|(addr, name)| TlsDoor { port: addr.port(), name }),
        },
        capacity: u32::try_from(settings.allocations).unwrap_or(u32::MAX),
        held: 0,
        leaving: false,
        knows_until: Timestamp::from_millis(0),
    }
}

/// This node's own relay host.
pub(crate) struct BuiltIn {
    /// Its id.
    pub(crate) id: RelayHostId,
    said: Mutex<Said>,
    /// A hint that a relay host has entered or moved.
    pub(crate) news: Notify,
}

impl BuiltIn {
    pub(crate) fn new(id: RelayHostId, said: Said) -> Self {
        Self { id, said: Mutex::new(said), news: Notify::new() }
    }

    /// What it says of itself now.
    pub(crate) fn said(&self) -> Said {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuiltIn").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Keeps the row, and tells the relay of the others, until everything else has ended.
pub(crate) async fn work(app: Arc<App>, relay: Arc<Relay>) {
    let mut pace = time::interval(BEAT);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leaving = false;
    loop {
        tokio::select! {
            biased;
            () = app.ended.cancelled() => return,
            // That it takes nobody any more is told at once.
            () = app.stop.cancelled(), if !leaving => leaving = true,
            () = app.relay.news.notified() => {}
            _ = pace.tick() => {}
        }
        if let Err(trouble) = beat(&app, &relay, leaving).await {
            warn!(error = %Causes(&trouble), "this node's relay does not hear of others, nor they of it");
        }
    }
}

async fn beat(app: &App, relay: &Relay, leaving: bool) -> Result<(), StorageError> {
    let now = app.now();
    let hosts = all(app).await?;
    relay.know(others(&hosts, &app.relay.id, now));
    let said = {
        let mut said = app.relay.lock();
        said.held = u32::try_from(relay.allocations()).unwrap_or(u32::MAX);
        said.leaving = leaving;
        said.knows_until = now;
        said.clone()
    };
    // A file has no other node that would read it.
    if app.storage.is_shared() {
        app.storage.relay_hosts().beat((&app.relay.id, true), &said, now).await?;
    }
    Ok(())
}
