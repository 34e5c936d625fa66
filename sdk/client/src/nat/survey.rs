//! Looks at the network that the device is in, each time that may be another one.

use core::net::SocketAddr;
use std::{io, sync::Arc};

use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_protocol::server::{CdxAddresses, CdxPorts};
use tokio::{sync::watch, time::sleep};

use super::{
    Nat, Surroundings,
    behaviour::{self, Behaviour},
    known::{Networks, addresses, lock},
    life::{self, Search},
    sockets::{ask, now},
};
use crate::{
    client::Client,
    connection::driver::State,
    limits,
    network::{DatagramSocket, Network},
};

impl Client {
    /// Finds out what stands between this network and the internet, from now on until the client is closed: once it is
    /// connected, and each time that it has connected anew or a call has noticed other addresses. To be called once; of several
    /// networks the last one counts. To be called inside a Tokio runtime.
    ///
    /// Without it calls work as well: the host knows less of the NAT, and an idle call says more often that it lives.
    pub fn survey(&self, network: Arc<dyn Network>) {
        let networks = Arc::clone(self.networks());
        let (stop, state) = (self.child_token(), self.state());
        *lock(&networks.survey) = Some(stop.clone().drop_guard());
        let survey = Survey { network, networks: Arc::clone(&networks) };
        self.tasks().spawn(async move {
            stop.run_until_cancelled(survey.run(state)).await;
        });
    }

    /// What the survey has found out so far; none as long as it has not looked.
    pub fn surroundings(&self) -> Option<Surroundings> {
        self.networks().here().borrow().clone()
    }

    /// Waits until the survey has found what is wanted.
    pub async fn surroundings_become(
        &self,
        wanted: impl Fn(Option<&Surroundings>) -> bool + Send,
    ) -> Option<Surroundings> {
        let mut here = self.networks().here();
        let found = here.wait_for(move |here| wanted(here.as_ref())).await;
        // The sender lives as long as the client.
        found.ok().and_then(|here| here.clone())
    }
}

/// See the module.
struct Survey {
    network: Arc<dyn Network>,
    networks: Arc<Networks>,
}

/// Both ports of CDX.
type Ports = [SocketAddr; 2];

impl Survey {
    async fn run(self, mut state: watch::Receiver<State>) {
        while let Some(cdx) = connected(&mut state).await {
            tokio::select! {
                changed = state.changed() => if changed.is_err() { return },
                () = self.networks.is_elsewhere() => {}
                () = self.look(cdx) => {}
            }
        }
    }

    /// Returns when it is time for another look, though nothing has happened.
    async fn look(&self, cdx: CdxAddresses) {
        let mut closed = limits::CLOSED_AGAIN;
        loop {
            match self.look_once(cdx).await {
                Ok(true) => return core::future::pending().await,
                // It may be CDX that was away, or the network's door.
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "the network gives no socket"),
            }
            sleep(closed).await;
            closed = (closed * 2).min(limits::CLOSED_AGAIN_MAX);
        }
    }

    /// Whether anything came back.
    async fn look_once(&self, cdx: CdxAddresses) -> io::Result<bool> {
        let mut here = Vec::new();
        for ports in families(cdx) {
            let sockets = self.sockets(behaviour::SOCKETS)?;
            let mut behaviour = Behaviour::new(ports, now(), rng());
            ask(&mut behaviour, &sockets).await;
            let own = sockets.get(behaviour::EVERYWHERE).map(|socket| socket.host_addresses());
            let own = own.unwrap_or_default();
            let nat = behaviour.found(&own);
            tracing::debug!(?nat, "looked at the network");
            here = addresses(&own);
            if nat != Nat::CLOSED {
                if !self.networks.arrive(here, nat, now()) {
                    self.measure(ports).await?;
                }
                return Ok(true);
            }
        }
        self.networks.arrive(here, Nat::CLOSED, now());
        Ok(false)
    }

    async fn measure(&self, [cdx, _]: Ports) -> io::Result<()> {
        let sockets = self.sockets(life::SOCKETS)?;
        let mut search = Search::new(cdx, now(), rng());
        ask(&mut search, &sockets).await;
        if let Some(life) = search.found() {
            tracing::debug!(?life, "measured how long mappings live");
            self.networks.measured(life, now());
        }
        Ok(())
    }

    fn sockets(&self, number: usize) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        (0..number).map(|_| self.network.bind()).collect()
    }
}

/// CDX, as soon as there is a connection; none when there will be no other.
async fn connected(state: &mut watch::Receiver<State>) -> Option<CdxAddresses> {
    let settled = state.wait_for(|state| !matches!(state, State::Connecting(_))).await.ok()?;
    match &*settled {
        State::Connected(welcome) => Some(welcome.cdx),
        State::Connecting(_) | State::Ended(_) => None,
    }
}

/// IPv4 first: there the NATs are.
fn families(CdxAddresses { primary, secondary, other_family }: CdxAddresses) -> Vec<Ports> {
    let other = other_family.map(|CdxPorts { primary, secondary }| [primary, secondary]);
    let mut families: Vec<_> = [Some([primary, secondary]), other].into_iter().flatten().collect();
    families.sort_by_key(|[first, _]| first.is_ipv6());
    families
}

fn rng() -> StdRng {
    StdRng::from_rng(&mut rand::rng())
}
