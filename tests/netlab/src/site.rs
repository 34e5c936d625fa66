//! A LAN behind its gateways.

use anyhow::{Context as _, Result};

use crate::{gateway::Gateway, host::Host};

/// One host, and what stands between it and the internet.
#[derive(Debug)]
pub struct Site {
    /// The outermost first.
    gateways: Vec<Gateway>,
    host: Host,
}

impl Site {
    pub(crate) const fn new(gateways: Vec<Gateway>, host: Host) -> Self {
        Self { gateways, host }
    }

    /// The host.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) const fn host_mut(&mut self) -> &mut Host {
        &mut self.host
    }

    /// Another host in the same LAN.
    pub fn neighbour(&self) -> Result<Host> {
        Host::new(self.gateways.last().context("a public address has no neighbours")?)
    }

    /// The gateway at the internet.
    pub fn outermost(&self) -> Option<&Gateway> {
        self.gateways.first()
    }

    /// The gateway next to the host.
    pub fn innermost(&self) -> Option<&Gateway> {
        self.gateways.last()
    }
}
