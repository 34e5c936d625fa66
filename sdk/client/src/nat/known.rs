//! What a client knows of the networks that it was in.

use core::{net::IpAddr, time::Duration};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use switchhook_protocol::connection_data::Claims;
use tokio::sync::{Notify, watch};
use tokio_util::sync::DropGuard;

use super::{MappingLife, Nat, Surroundings};
use crate::limits;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    /// Where the device is, as far as it has looked.
    here: watch::Sender<Option<Surroundings>>,
    measured: Mutex<VecDeque<Measured>>,
    /// The addresses for which another look was wanted last.
    elsewhere: Mutex<Vec<IpAddr>>,
    look: Notify,
    /// Ends the survey that runs.
    pub(super) survey: Mutex<Option<DropGuard>>,
}

/// A network whose NAT's mappings were measured.
#[derive(Debug)]
struct Measured {
    addresses: Vec<IpAddr>,
    external: Option<IpAddr>,
    life: MappingLife,
    at: Instant,
}

impl Networks {
    pub(super) fn here(&self) -> watch::Receiver<Option<Surroundings>> {
        self.here.subscribe()
    }

    /// The device is here; what was measured here before counts still. Whether it was.
    pub(super) fn arrive(&self, addresses: Vec<IpAddr>, nat: Nat, now: Instant) -> bool {
        let mut measured = lock(&self.measured);
        measured.retain(|one| now.saturating_duration_since(one.at) < limits::LIFE_COUNTS);
        let mut same =
            measured.iter().filter(|one| one.addresses == addresses && one.external == nat.external);
        let mapping_life = same.next().map(|one| one.life);
        drop(measured);
        self.here.send_replace(Some(Surroundings { addresses, nat, mapping_life }));
        mapping_life.is_some()
    }

    /// The NAT of the network where the device is keeps mappings so long.
    pub(super) fn measured(&self, life: MappingLife, now: Instant) {
        let mut of = None;
        self.here.send_modify(|here| {
            if let Some(here) = here {
                here.mapping_life = Some(life);
                of = Some((here.addresses.clone(), here.nat.external));
            }
        });
        let Some((addresses, external)) = of else { return };
        let mut measured = lock(&self.measured);
        if measured.len() >= limits::NETWORKS {
            measured.pop_front();
        }
        measured.push_back(Measured { addresses, external, life, at: now });
    }

    /// Waits until somebody has seen the device elsewhere.
    pub(super) async fn is_elsewhere(&self) {
        self.look.notified().await;
    }

    /// Adds what is known of the network that has these own addresses.
    pub(crate) fn claim(&self, own: &[SocketAddr], claims: &mut Claims) {
        if let Some(here) = self.at(own) {
            here.nat.claim(claims);
        }
    }

    /// How often, on the average, a path that carries nothing is asked from these own addresses, so that no NAT forgets it.
    pub(crate) fn pause(&self, own: &[SocketAddr]) -> Duration {
        let life = self.at(own).and_then(|here| here.mapping_life);
        life.map_or(limits::KEEP_ALIVE, MappingLife::pause)
    }

    /// The same for a path whose own address nobody knows: through a relay.
    pub(crate) fn pause_anywhere(&self) -> Duration {
        let life = self.here.borrow().as_ref().and_then(|here| here.mapping_life);
        life.map_or(limits::KEEP_ALIVE, MappingLife::pause).min(limits::KEEP_ALIVE)
    }

    /// What is known of the network that has these own addresses; another look is wanted where nothing is.
    fn at(&self, own: &[SocketAddr]) -> Option<Surroundings> {
        let own = addresses(own);
        let here = self.here.borrow().clone()?;
        if here.addresses == own {
            return Some(here);
        }
        let before = core::mem::replace(&mut *lock(&self.elsewhere), own.clone());
        if before != own {
            self.look.notify_one();
        }
        None
    }
}

/// By which a network is known: the device's own addresses there.
pub(super) fn addresses(own: &[SocketAddr]) -> Vec<IpAddr> {
    let mut addresses: Vec<_> = own.iter().map(SocketAddr::ip).collect();
    addresses.sort_unstable();
    addresses
}

/// Nothing in here is left half done by a panic.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
