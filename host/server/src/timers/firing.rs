//! What this node is firing: each timer once, side by side, each tenant within a share.
//!
//! Firing may ask a router, which may ask a service that is slow. That holds up its own tenant's timers at most: those of
//! others have places of their own, and nobody waits for a whole batch.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use switchhook_protocol::id::TenantId;
use switchhook_storage::{DueDeadline, DueTimer, StorageError};
use tokio::time;
use tracing::error;

use super::take;
use crate::{app::App, causes::Causes, limits};

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Due {
    /// Of a session.
    Ring(DueTimer),
    /// Of a registration.
    Deadline(DueDeadline),
}

impl Due {
    const fn tenant(&self) -> &TenantId {
        match self {
            Self::Ring(timer) => &timer.tenant,
            Self::Deadline(deadline) => &deadline.tenant,
        }
    }
}

/// See the module.
pub(super) struct Firing<'a> {
    app: &'a App,
    places: Places,
    under_way: FuturesUnordered<UnderWay<'a>>,
}

type UnderWay<'a> = Pin<Box<dyn Future<Output = (Due, Result<(), StorageError>)> + Send + 'a>>;

/// Who has how many places.
#[derive(Debug, Default)]
struct Places {
    taken: HashSet<Due>,
    of_tenant: HashMap<TenantId, usize>,
}

impl Places {
    /// Gives one, unless this is being fired or its tenant has its share.
    fn give(&mut self, due: &Due) -> bool {
        let of_tenant = self.of_tenant.get(due.tenant()).copied().unwrap_or_default();
        let is_free = self.taken.len() < limits::TIMERS_AT_ONCE && of_tenant < limits::TIMERS_OF_TENANT;
        if !is_free || !self.taken.insert(due.clone()) {
            return false;
        }
        self.of_tenant.insert(due.tenant().clone(), of_tenant + 1);
        true
    }

    fn take_back(&mut self, due: &Due) {
        self.taken.remove(due);
        if let Some(count) = self.of_tenant.get_mut(due.tenant()) {
            *count -= 1;
            if *count == 0 {
                self.of_tenant.remove(due.tenant());
            }
        }
    }
}

impl<'a> Firing<'a> {
    pub(super) fn new(app: &'a App) -> Self {
        Self { app, places: Places::default(), under_way: FuturesUnordered::new() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Begins to fire what is due, as far as there are places.
    pub(super) async fn take_up(&mut self) -> Result<(), StorageError> {
        let app = self.app;
        let timers = app.storage.timers().due(app.now(), limits::TIMERS).await?;
        let deadlines = app.storage.due_deadlines(app.now(), limits::TIMERS).await?;
        let due = timers.into_iter().map(Due::Ring).chain(deadlines.into_iter().map(Due::Deadline));
        for due in due {
            if self.places.give(&due) {
                self.under_way.push(Box::pin(async move { (due.clone(), take(app, due).await) }));
            }
        }
        Ok(())
    }

    /// Waits until something is fired; for ever, if nothing is being.
    pub(super) async fn go_on(&mut self) {
        let Some((due, fired)) = self.under_way.next().await else { return std::future::pending().await };
        if !self.is_stored(&due, fired) {
            // What storage does not take is not tried again at once.
            self.go_on_for(limits::TIMER_PAUSE).await;
        }
    }

    /// Fires for so long what is under way.
    pub(super) async fn go_on_for(&mut self, pause: Duration) {
        let pause = time::sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return,
                Some((due, fired)) = self.under_way.next() => { self.is_stored(&due, fired); }
                else => {
                    pause.await;
                    return;
                }
            }
        }
    }

    /// Fires all that is under way to its end.
    pub(super) async fn finish(mut self) -> Result<(), StorageError> {
        while let Some((due, fired)) = self.under_way.next().await {
            self.places.take_back(&due);
            fired?;
        }
        Ok(())
    }

    /// One is fired: whether storage took what came of it.
    fn is_stored(&mut self, due: &Due, fired: Result<(), StorageError>) -> bool {
        self.places.take_back(due);
        let Err(trouble) = fired else { return true };
        error!(tenant.id = %due.tenant(), error = %Causes(&trouble), "what came of a timer is not stored");
        false
    }
}

#[cfg(test)]
mod tests {
    use switchhook_core::row::Deadline;
    use switchhook_protocol::time::Timestamp;

    use super::*;

    fn due(tenant: &str, number: usize) -> Due {
        let attempt = format!("a{number}").parse().unwrap();
        let deadline = Deadline { attempt, due_at: Timestamp::from_millis(1) };
        Due::Deadline(DueDeadline { tenant: tenant.parse().unwrap(), deadline })
    }

    #[test]
    fn each_is_fired_once_at_a_time() {
        let mut places = Places::default();
        assert!(places.give(&due("acme", 1)));
        assert!(!places.give(&due("acme", 1)));
        places.take_back(&due("acme", 1));
        assert!(places.give(&due("acme", 1)), "it may have been put off");
    }

    #[test]
    fn a_tenant_whose_timers_take_long_has_its_share_and_others_theirs() {
        let mut places = Places::default();
        let given = (0..1_000).filter(|number| places.give(&due("acme", *number))).count();
        assert_eq!(given, limits::TIMERS_OF_TENANT);
        assert!(places.give(&due("other", 1)));
        places.take_back(&due("acme", 0));
        assert!(places.give(&due("acme", 1_000)));
    }

    #[test]
    fn all_tenants_together_have_so_many() {
        let mut places = Places::default();
        let dues = (0..1_000).map(|number| due(&format!("t{}", number % 100), number));
        assert_eq!(dues.filter(|due| places.give(due)).count(), limits::TIMERS_AT_ONCE);
    }
}
