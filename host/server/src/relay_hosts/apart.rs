//! `switchhook relay`: a relay host that is no node.
//!
//! It needs the nodes to start, since its keys are with them, and to be chosen. While no node answers it goes on:
//! allocations stay, and tokens are checked with the keys that it has. What it learns again with every beat are its
//! keys, so that it follows their rotation, and the other hosts. Every few seconds it asks which of those whom it
//! relays for take part no more, and drops what they hold.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt as _;
use switchhook_core::relay_host::{BEAT, Said};
use switchhook_protocol::{id::RelayHostId, time::Timestamp};
use switchhook_relay::Relay;
use tokio::time::{self, Instant, MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use super::{
    built_in::said,
    link::{Link, LinkError},
    seen::Standing,
    told::{Beat, Orders},
};
use crate::{StartError, causes::Causes, lifecycle::parts, limits, listen::tls::Tls, settings::Settings};

/// A running relay host.
pub(crate) struct Apart {
    pub(crate) id: RelayHostId,
    pub(crate) relay: Relay,
    pub(crate) tls: Option<Arc<Tls>>,
    link: Link,
    standing: Arc<Standing>,
    said: Mutex<Said>,
    drain: Duration,
    tasks: TaskTracker,
    /// It takes nobody any more.
    leaving: CancellationToken,
    ended: CancellationToken,
}

/// Asks until a node answers; only the operator can change a refusal.
pub(crate) async fn enter(link: &Link) -> Result<Orders, LinkError> {
    let mut tries = 0;
    loop {
        match link.enter().await {
            Err(trouble) if !trouble.is_final() => {
                warn!(error = %Causes(&trouble), "this relay host cannot enter yet");
                tries += 1;
                time::sleep(pause(tries)).await;
            }
            done => return done,
        }
    }
}

impl Apart {
    /// Binds the ports; from now on whoever has a token is relayed for.
    pub(crate) async fn start(
        settings: &Settings,
        link: Link,
        orders: &Orders,
        standing: Arc<Standing>,
    ) -> Result<Self, StartError> {
        let tls = match (&settings.tls, settings.relay.tls_port) {
            (Some(files), Some(_)) => Some(Arc::new(Tls::new(files).await?)),
            (Some(_) | None, _) => None,
        };
        let keys = orders.keys().map_err(|why| StartError::Setup(format!("the server's keys: {why}")))?;
        let relay = parts::relay(&settings.relay, &orders.host, (keys, &orders.realm), tls.clone()).await?;
        relay.know(orders.peers.clone());
        standing.counts(relay.metrics());
        let said = Said { knows_until: orders.as_of, ..said(&settings.relay, &relay) };
        said.check().map_err(|why| StartError::Setup(format!("`relay` in the settings: {why}")))?;
        Ok(Self {
            id: orders.host.clone(),
            relay,
            tls,
            link,
            standing,
            said: Mutex::new(said),
            drain: Duration::from_secs(settings.relay.drain_s.into()),
            tasks: TaskTracker::new(),
            leaving: CancellationToken::new(),
            ended: CancellationToken::new(),
        })
    }

    /// Sets going what keeps it among the others.
    pub(crate) fn run(self: &Arc<Self>) {
        self.tasks.spawn(Arc::clone(self).beats());
        self.tasks.spawn(Arc::clone(self).looks());
        if let Some(tls) = &self.tls {
            self.tasks.spawn(Arc::clone(tls).watch(self.ended.clone()));
        }
    }

    /// Takes nobody any more, and relays until nobody uses it, its time is over, or `hurry` is done.
    pub(crate) async fn shutdown(&self, hurry: impl Future<Output = ()>) {
        info!(
            allocations = self.relay.allocations(),
            "ending when nobody uses it any more; once more to stop at once"
        );
        self.standing.leaves();
        self.leaving.cancel();
        tokio::select! {
            () = self.relay.emptied() => {}
            () = hurry => warn!("told again to stop: dropping what is relayed"),
            () = time::sleep(self.drain) => warn!("the time to drain is over: dropping what is relayed"),
        }
        self.ended.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.relay.shutdown().await;
    }

    /// Reads the files of the certificate again, soon.
    pub(crate) fn reload(&self) {
        let Some(tls) = &self.tls else {
            return info!("asked to read the certificate again, but there is no TLS here");
        };
        tls.reload();
    }

    /// Says that it lives until it has ended.
    async fn beats(self: Arc<Self>) {
        let (mut missed, mut leaving) = (0, false);
        loop {
            let next = match self.beat(leaving).await {
                Ok(()) => {
                    if missed > 0 {
                        info!("the nodes hear of this relay host again");
                    }
                    missed = 0;
                    BEAT
                }
                Err(trouble) => {
                    if trouble.is_final() {
                        self.standing.refused();
                    }
                    // The same trouble is told once.
                    if missed == 0 {
                        say(&trouble);
                    }
                    missed += 1;
                    pause(missed)
                }
            };
            tokio::select! {
                biased;
                () = self.ended.cancelled() => return,
                // That it takes nobody any more is told at once.
                () = self.leaving.cancelled(), if !leaving => leaving = true,
                () = time::sleep(next) => {}
            }
        }
    }

    async fn beat(&self, leaving: bool) -> Result<(), LinkError> {
        let said = {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.held = u32::try_from(self.relay.allocations()).unwrap_or(u32::MAX);
            said.leaving = leaving;
            said.clone()
        };
        let orders = self.link.beat(&Beat::from(said)).await?;
        self.standing.heard();
        self.relay.renew_keys(orders.keys().or(Err(LinkError::Strange))?);
        self.relay.know(orders.peers.clone());
        self.know(orders.as_of);
        Ok(())
    }

    fn know(&self, until: Timestamp) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).knows_until = until;
    }

    /// Sends away who takes part no more, until it has ended.
    async fn looks(self: Arc<Self>) {
        let mut pace = time::interval_at(Instant::now() + limits::LOOK_AT_RELAYED, limits::LOOK_AT_RELAYED);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.ended.cancelled() => return,
                _ = pace.tick() => {}
            }
            // That no node answers is said by the beat.
            if let Err(trouble) = self.look().await {
                tracing::debug!(error = %Causes(&trouble), "nobody knows whether who is relayed still takes part");
            }
        }
    }

    async fn look(&self) -> Result<(), LinkError> {
        for some in self.relay.participants().chunks(limits::RELAYED_TOLD) {
            for gone in self.link.gone(some).await? {
                self.relay.send_away(&gone).await;
            }
        }
        Ok(())
    }
}

fn say(trouble: &LinkError) {
    if trouble.is_final() {
        error!(error = %Causes(trouble), "nobody is sent to this relay host any more");
    } else {
        warn!(error = %Causes(trouble), "the nodes do not hear of this relay host; what it relays goes on");
    }
}

/// Longer with every try, and never the same for all hosts of a server that comes back.
fn pause(tries: u32) -> Duration {
    let longest = BEAT.saturating_mul(2_u32.saturating_pow(tries.min(8))).min(limits::RELAY_LINK_PAUSE);
    longest.mul_f64(rand::rng().random_range(0.5..=1.0))
}
