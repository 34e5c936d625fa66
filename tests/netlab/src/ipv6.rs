//! IPv6 in the lab: addresses without NAT, and gateways that let in nobody but who was sent to, as at people's homes.
//!
//! It is laid along the cables that are there, beside IPv4. Nobody looks for an address being taken already: that takes
//! seconds, and nobody else gives out any.

use std::{net::Ipv6Addr, path::Path};

use anyhow::{Result, ensure};

use crate::namespace::Namespace;

/// The internet's router, on each cable.
pub(crate) const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xDB8, 0xF, 0, 0, 0, 0, 1);

/// The server.
pub(crate) const SERVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xDB8, 0xE, 0, 0, 0, 0, 1);

/// Whether this machine has IPv6, and why not.
pub(crate) fn may_run() -> Result<()> {
    ensure!(Path::new("/proc/sys/net/ipv6").exists(), "the kernel has no IPv6");
    Ok(())
}

/// Gives a new namespace addresses as soon as it is told them.
pub(crate) fn prepare(namespace: &Namespace) -> Result<()> {
    if may_run().is_err() {
        return Ok(());
    }
    for which in ["all", "default"] {
        namespace.sysctl(&format!("ipv6/conf/{which}/accept_dad"), "0")?;
        namespace.sysctl(&format!("ipv6/conf/{which}/accept_ra"), "0")?;
    }
    Ok(())
}

/// Lets a router forward.
pub(crate) fn forward(namespace: &Namespace) -> Result<()> {
    namespace.sysctl("ipv6/conf/all/forwarding", "1")
}

/// The outer address of the gateway of this number.
pub(crate) fn outside(gateway: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xDB8, 0xA, 0, 0, 0, 0, gateway.into())
}

/// A machine of the LAN behind that gateway; 0 is the LAN itself, 1 the gateway.
pub(crate) fn inside(gateway: u8, machine: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xDB8, 0xB, gateway.into(), 0, 0, 0, machine.into())
}

/// Plugs a machine in at the router: the machine's address, and the network behind it.
pub(crate) fn connect(
    (router, port): (&Namespace, &str),
    (machine, interface): (&Namespace, &str),
    address: Ipv6Addr,
    behind: Option<Ipv6Addr>,
) -> Result<()> {
    router.ip(&[
        &format!("addr add {ROUTER}/128 dev {port} nodad"),
        &format!("route add {address}/128 dev {port}"),
    ])?;
    if let Some(network) = behind {
        router.ip(&[&format!("route add {network}/64 via {address} dev {port}")])?;
    }
    machine.ip(&[
        &format!("addr add {address}/128 dev {interface} nodad"),
        &format!("route add {ROUTER}/128 dev {interface}"),
        &format!("route add default via {ROUTER} dev {interface}"),
    ])
}

/// Gives a machine of a LAN its address.
pub(crate) fn join(machine: &Namespace, interface: &str, address: Ipv6Addr, gateway: Ipv6Addr) -> Result<()> {
    machine.ip(&[
        &format!("addr add {address}/64 dev {interface} nodad"),
        &format!("route add default via {gateway} dev {interface}"),
    ])
}

/// The gateway's own part: an address inside, and answers let in.
pub(crate) fn guard(gateway: &Namespace, inside: Ipv6Addr) -> Result<()> {
    forward(gateway)?;
    gateway.ip(&[&format!("addr add {inside}/64 dev lan nodad")])?;
    gateway.nft(
        "table ip6 lab {
            chain through {
                type filter hook forward priority filter; policy drop;
                iifname lan accept;
                ct state established,related accept;
            }
        }",
    )
}
