//! Names to addresses, of which only the allowed ones are given out.

use std::{io, net::SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use switchhook_core::relay_peers::{PeerPolicy, RefusedPeer};
use tokio::net::lookup_host;

/// The system's resolver behind the operator's rules.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    peers: PeerPolicy,
}

/// All addresses of a name are refused; the first one for this reason.
#[derive(Debug, thiserror::Error)]
#[error("its address is {0}")]
pub(super) struct RefusedName(pub(super) RefusedPeer);

/// What a resolver answers with.
type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Judged {
    pub(super) const fn new(peers: PeerPolicy) -> Self {
        Self { peers }
    }

    fn allowed(&self, found: Vec<SocketAddr>) -> Result<Addrs, Failed> {
        let judged = found.first().map(|first| self.peers.judge(first.ip()));
        let allowed: Vec<SocketAddr> =
            found.into_iter().filter(|addr| self.peers.judge(addr.ip()).is_ok()).collect();
        match judged {
            Some(Err(reason)) if allowed.is_empty() => Err(Box::new(RefusedName(reason))),
            None => Err(Box::new(io::Error::from(io::ErrorKind::NotFound))),
            Some(_) => Ok(Box::new(allowed.into_iter())),
        }
    }
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let judged = self.clone();
        Box::pin(async move {
            // The port is the request's own; 0 asks for it.
            let found = lookup_host((name.as_str(), 0)).await?.collect();
            judged.allowed(found)
        })
    }
}
