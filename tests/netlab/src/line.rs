//! Two machines on one cable, and nothing between them: to measure programs on, not paths.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};

use crate::{host::Host, namespace::Namespace};

const ENDS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];

/// Two machines, each in a namespace of its own. Datagrams that are sent merged arrive so.
///
/// The error says why this machine cannot play them.
pub fn line() -> Result<[Host; 2]> {
    const INTERFACE: &str = "wan";
    let lay = || -> Result<_> {
        let ends = [Namespace::new()?, Namespace::new()?];
        let [one, other] = &ends;
        one.merging_cable(INTERFACE, other, INTERFACE)?;
        for (end, ip) in ends.iter().zip(ENDS) {
            end.ip(&[&format!("addr add {ip}/24 dev {INTERFACE}")])?;
        }
        let [one, other] = ends;
        let [first, second] = ENDS;
        Ok([Host::at(first, one), Host::at(second, other)])
    };
    lay().context("no network namespaces (needs root, and `ip` of iproute2)")
}
