//! Where a device of the lab is.

use std::{fmt, io, sync::Arc};

use switchhook_client::network::{DatagramSocket, Network, SystemNetwork};
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
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.host().ip())
    }
}

impl Network for Place {
    fn bind(&self) -> io::Result<Arc<dyn DatagramSocket>> {
        let (runtime, ip) = (Handle::current(), self.host().ip().into());
        let bound = self.host().enter(move || {
            let _inside = runtime.enter();
            SystemNetwork::on(ip).bind()
        });
        bound.map_err(io::Error::other)?
    }
}
