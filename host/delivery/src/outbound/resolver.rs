//! Names to addresses, of which only the allowed ones are given out.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use switchhook_core::relay_peers::{PeerPolicy, RefusedPeer};
use tokio::net::lookup_host;

/// The system's resolver behind the operator's rules.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    peers: PeerPolicy,
}

/// All addresses of a name are refused; the first one for this reason.
#[derive(Debug, thiserror::Error)]
#[error("its address is {0}")]
pub(crate) struct RefusedName(pub(crate) RefusedPeer);

/// What a resolver answers with.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Judged {
    pub(crate) const fn new(peers: PeerPolicy) -> Self {
        Self { peers }
    }
}

/// Those addresses of a name that these rules allow.
pub(crate) fn allowed(peers: &PeerPolicy, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Failed> {
    let judged = found.first().map(|first| peers.judge(first.ip()));
    let allowed: Vec<SocketAddr> = found.into_iter().filter(|addr| peers.judge(addr.ip()).is_ok()).collect();
    match judged {
        Some(Err(reason)) if allowed.is_empty() => Err(Box::new(RefusedName(reason))),
        None => Err(Box::new(io::Error::from(io::ErrorKind::NotFound))),
        Some(_) => Ok(allowed),
    }
}

/// Judges a host that is an address, which nobody resolves; a name is judged when it is resolved.
pub(crate) fn judge_literal(peers: &PeerPolicy, host: &str) -> Result<(), RefusedPeer> {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(addr) => peers.judge(addr),
        Err(_) => Ok(()),
    }
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let judged = self.clone();
        Box::pin(async move {
            // The port is the request's own; 0 asks for it.
            let found = lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Addrs = Box::new(allowed(&judged.peers, found)?.into_iter());
            Ok(allowed)
        })
    }
}
