//! Where a device of the lab is.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use switchhook_client::network::{Connecting, DatagramSocket, Network, SystemNetwork};
use switchhook_netlab::{Host, Site};
use tokio::runtime::Handle;

/// A machine of the lab, as a device's way out.
#[derive(Clone)]
pub(crate) enum Place {
    /// Behind gateways of its own.
    Site(Arc<Site>),
    /// In somebody else's LAN.
    Neighbour(Arc<Host>),
}

impl Place {
    fn host(&self) -> &Host {
        match self {
            Self::Site(site) => site.host(),
            Self::Neighbour(host) => host,
        }
    }

    /// Its operating system's.
    fn system(&self) -> SystemNetwork {
        let host = self.host();
        if host.ipv6().is_some() { SystemNetwork::default() } else { SystemNetwork::on(host.ip().into()) }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.host().ip())
    }
}

impl Network for Place {
    fn bind(&self) -> io::Result<Arc<dyn DatagramSocket>> {
        let (runtime, system) = (Handle::current(), self.system());
        let bound = self.host().enter(move || {
            let _inside = runtime.enter();
            system.bind()
        });
        bound.map_err(io::Error::other)?
    }

    fn connect(&self, to: SocketAddr) -> Connecting {
        let system = self.system();
        let connecting = self.host().enter(move || system.connect(to));
        connecting.unwrap_or_else(|error| Box::pin(async { Err(io::Error::other(error)) }))
    }
}
