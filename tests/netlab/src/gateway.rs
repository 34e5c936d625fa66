//! A site's router, with its NAT.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    ipv6,
    lab::{Internet, Network},
    namespace::Namespace,
    nat::{KernelRules, Means, Nat},
    translator::{InUse, Translator},
};

/// A router with the interfaces `wan` and `lan`; the LAN is a bridge with a port for each host.
#[derive(Debug)]
pub struct Gateway {
    namespace: Namespace,
    outside: Ipv4Addr,
    inside: Ipv4Addr,
    translator: Option<Translator>,
    plugged: AtomicU8,
}

impl Gateway {
    /// A gateway between a network and a new LAN, in which it has the address `inside`.
    pub(crate) fn new(uplink: &impl Network, nat: Nat, inside: Ipv4Addr) -> Result<Self> {
        let namespace = Namespace::new()?;
        let outside = uplink.plug(&namespace, "wan")?;
        namespace.ip(&[
            // A bridge without an address of its own takes one of its ports', and so changes it.
            "link add name lan address 02:00:00:00:00:01 type bridge",
            &format!("addr add {inside}/24 dev lan"),
            "link set lan up",
        ])?;
        namespace.sysctl("ipv4/ip_forward", "1")?;
        // Where the machine has this setting, a LAN's own packets would pass the gateway's rules.
        drop(namespace.sysctl("bridge/bridge-nf-call-iptables", "0"));
        let translator = match nat.means() {
            Means::Nothing => None,
            Means::Kernel(rules) => {
                namespace.nft(&ruleset(rules))?;
                None
            }
            Means::Translator(behaviour) => {
                namespace.nft(&ruleset(BESIDE_TRANSLATOR))?;
                Some(Translator::start(&namespace, behaviour, inside, outside)?)
            }
        };
        Ok(Self { namespace, outside, inside, translator, plugged: AtomicU8::new(1) })
    }

    /// Its address in the network that it was first plugged into.
    pub const fn outside(&self) -> Ipv4Addr {
        self.outside
    }

    /// Lets hosts inside reach each other's outer addresses, or not (RFC 4787 §6).
    pub fn set_hairpin(&self, hairpin: bool) -> Result<()> {
        self.translator()?.change(|table| table.set_hairpin(hairpin));
        Ok(())
    }

    /// Lets its mappings grow older.
    pub fn put_clock_forward(&self, by: Duration) -> Result<()> {
        self.translator()?.put_clock_forward(by);
        Ok(())
    }

    /// Has it keep mappings so long from here on.
    pub fn set_mapping_life(&self, life: Duration) -> Result<()> {
        self.translator()?.change(|table| table.set_life(life));
        Ok(())
    }

    /// The mapping that has this outer port, if there is one.
    pub fn mapping(&self, port: u16) -> Result<Option<InUse>> {
        Ok(self.translator()?.change(|table| table.in_use(port)))
    }

    /// Gets another address from the internet, and forgets its mappings.
    pub(crate) fn renumber(&self, internet: &Internet) -> Result<Ipv4Addr> {
        let translator = self.translator()?;
        let outside = internet.readdress(&self.namespace, self.outside)?;
        translator.change(|table| table.renumber(outside));
        Ok(outside)
    }

    /// Lays IPv6 to its LAN; the number by which its addresses are made.
    pub(crate) fn lay_ipv6(&self, internet: &Internet) -> Result<u8> {
        let [.., number] = self.outside.octets();
        let network = ipv6::inside(number, 0);
        internet.connect_ipv6(
            (&self.namespace, "wan"),
            self.outside,
            ipv6::outside(number),
            Some(network),
        )?;
        ipv6::guard(&self.namespace, ipv6::inside(number, 1))?;
        Ok(number)
    }

    fn translator(&self) -> Result<&Translator> {
        self.translator.as_ref().context("this NAT is the kernel's, which does not do that")
    }
}

impl Network for Gateway {
    fn plug(&self, namespace: &Namespace, interface: &str) -> Result<Ipv4Addr> {
        let number = self.plugged.fetch_add(1, Ordering::Relaxed);
        let port = format!("port{number}");
        let ip = Ipv4Addr::from_bits(self.inside.to_bits() + u32::from(number));
        self.namespace.cable(&port, namespace, interface)?;
        self.namespace.ip(&[&format!("link set {port} master lan")])?;
        self.namespace.wait_until_up("lan")?;
        namespace.ip(&[
            &format!("addr add {ip}/24 dev {interface}"),
            &format!("route add default via {}", self.inside),
        ])?;
        Ok(ip)
    }
}

/// The kernel masquerades TCP and leaves UDP alone: no forwarding, and no error for closed ports.
const BESIDE_TRANSLATOR: KernelRules = KernelRules {
    masquerade: "meta l4proto != udp masquerade",
    unasked: "drop",
    forbidden: "meta l4proto udp drop",
};

fn ruleset(rules: KernelRules) -> String {
    let KernelRules { masquerade, unasked, forbidden } = rules;
    format!(
        "table ip lab {{
            chain out {{
                type nat hook postrouting priority srcnat;
                oifname wan {masquerade};
            }}
            chain through {{
                type filter hook forward priority filter; policy drop;
                {forbidden};
                iifname lan accept;
                ct state established,related accept;
            }}
            chain in {{
                type filter hook input priority filter; policy accept;
                {forbidden};
                iifname wan ct state established,related accept;
                iifname wan {unasked};
            }}
        }}"
    )
}
