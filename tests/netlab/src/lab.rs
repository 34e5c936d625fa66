//! The internet of the lab.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    distance::Distance, gateway::Gateway, host::Host, ipv6, namespace::Namespace, nat::Nat, site::Site,
};

/// What a machine can be plugged into.
pub(crate) trait Network {
    /// Plugs a namespace in with a new interface of this name; the address that it gets.
    fn plug(&self, namespace: &Namespace, interface: &str) -> Result<Ipv4Addr>;
}

/// An internet with a server. See the crate.
#[derive(Debug)]
pub struct Lab {
    internet: Internet,
    server: Host,
}

/// Addresses of the server: RFC 5780 needs two.
const SERVER: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];

/// The LAN at home, and the carrier's between it and the internet.
const LANS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(100, 64, 0, 1)];

impl Lab {
    /// A new internet, with nobody in it but the server.
    pub fn new() -> Result<Self> {
        let internet = Internet::new()?;
        let mut server = Host::new(&ServerRoom(&internet))?;
        if ipv6::may_run().is_ok() {
            ipv6::forward(&internet.namespace)?;
            let [first, _] = SERVER;
            server.get_ipv6(ipv6::SERVER, |machine, interface| {
                internet.connect_ipv6((machine, interface), first, ipv6::SERVER, None)
            })?;
        }
        Ok(Self { internet, server })
    }

    /// A new internet, or a line that says why this test does not test on this machine.
    #[expect(clippy::print_stdout, reason = "who runs the tests collects these lines")]
    pub fn or_skip(test: &str) -> Result<Option<Self>> {
        match may_run() {
            Ok(()) => Self::new().map(Some),
            Err(reason) => {
                println!("skipped: {test}: {reason:#}");
                Ok(None)
            }
        }
    }

    /// The same, for a test that needs IPv6.
    #[expect(clippy::print_stdout, reason = "who runs the tests collects these lines")]
    pub fn with_ipv6_or_skip(test: &str) -> Result<Option<Self>> {
        if let Err(reason) = ipv6::may_run() {
            println!("skipped: {test}: {reason:#}");
            return Ok(None);
        }
        Self::or_skip(test)
    }

    /// From here on a packet takes so long from one site to another, or to the server; all have the same distance.
    pub fn set_distance(&mut self, one_way: Duration) -> Result<()> {
        let own = vec![ROUTER.into(), ipv6::ROUTER.into()];
        self.internet.distance = Some(Distance::start(&self.internet.namespace, own, one_way)?);
        Ok(())
    }

    /// The machine with two public addresses.
    pub const fn server(&self) -> &Host {
        &self.server
    }

    /// Its addresses; [`Host::ip`] is the first.
    pub const fn server_ips(&self) -> [Ipv4Addr; 2] {
        SERVER
    }

    /// A host behind this NAT.
    pub fn site(&self, nat: Nat) -> Result<Site> {
        self.behind(&[nat])
    }

    /// A host behind these NATs, the outermost first; at most two.
    pub fn behind(&self, nats: &[Nat]) -> Result<Site> {
        let mut gateways: Vec<Gateway> = Vec::new();
        let nats: Vec<Nat> = nats.iter().copied().filter(|nat| *nat != Nat::None).collect();
        for (at, nat) in nats.iter().enumerate() {
            let lan = *LANS.get(nats.len() - 1 - at).context("no LAN so deep")?;
            let gateway = match gateways.last() {
                None => Gateway::new(&self.internet, *nat, lan),
                Some(outer) => Gateway::new(outer, *nat, lan),
            };
            gateways.push(gateway.with_context(|| format!("gateway {nat}"))?);
        }
        let host = match gateways.last() {
            None => Host::new(&self.internet),
            Some(gateway) => Host::new(gateway),
        };
        Ok(Site::new(gateways, host?))
    }

    /// A host behind this NAT that has IPv6 beside it; see the crate.
    pub fn dual_site(&self, nat: Nat) -> Result<Site> {
        let mut site = self.site(nat)?;
        let number = site.innermost().context("a host without a gateway")?.lay_ipv6(&self.internet)?;
        let [gateway, host] = [1, 2].map(|machine| ipv6::inside(number, machine));
        let join = |machine: &Namespace, interface: &str| ipv6::join(machine, interface, host, gateway);
        site.host_mut().get_ipv6(host, join)?;
        Ok(site)
    }

    /// A host that reaches nobody outside of its LAN but over IPv6.
    pub fn ipv6_site(&self) -> Result<Site> {
        let site = self.dual_site(Nat::Masquerade)?;
        site.host().lose_ipv4()?;
        Ok(site)
    }

    /// Two hosts, each behind a NAT of its own.
    pub fn pair(&self, a: Nat, b: Nat) -> Result<[Site; 2]> {
        Ok([self.site(a)?, self.site(b)?])
    }

    /// From here on only packets of so many bytes pass to a host without a gateway and back.
    pub fn narrow(&self, site: &Site, bytes: u16) -> Result<()> {
        ensure!(site.outermost().is_none(), "a gateway's cable is not narrowed");
        site.host().narrow(bytes)?;
        self.internet.namespace.ip(&[&format!("link set to-{} mtu {bytes}", site.host().ip())])
    }

    /// Gives a site's outermost gateway another public address, which forgets all mappings; the new address.
    pub fn renumber(&self, site: &Site) -> Result<Ipv4Addr> {
        site.outermost().context("a host without a gateway")?.renumber(&self.internet)
    }
}

/// Whether this machine can play an internet, and why not.
pub fn may_run() -> Result<()> {
    let namespace = Namespace::new().context("no network namespaces (needs root, and `ip` of iproute2)")?;
    let listed = namespace.run(Command::new("nft").args(["list", "ruleset"]), "");
    listed.map(drop).context("no nftables")
}

/// The one router that everybody is plugged into.
#[derive(Debug)]
pub(crate) struct Internet {
    namespace: Namespace,
    next: AtomicU8,
    /// None: the kernel forwards at once.
    distance: Option<Distance>,
}

/// The router's address on each cable.
const ROUTER: Ipv4Addr = Ipv4Addr::new(100, 100, 0, 1);

impl Internet {
    fn new() -> Result<Self> {
        let namespace = Namespace::new()?;
        namespace.sysctl("ipv4/ip_forward", "1")?;
        Ok(Self { namespace, next: AtomicU8::new(1), distance: None })
    }

    /// Lays a cable and routes these addresses along it.
    fn connect(&self, namespace: &Namespace, interface: &str, addresses: &[Ipv4Addr]) -> Result<()> {
        let port = format!("to-{}", addresses.first().context("no address")?);
        self.namespace.cable(&port, namespace, interface)?;
        self.namespace.ip(&[&format!("addr add {ROUTER}/32 dev {port}")])?;
        for ip in addresses {
            self.namespace.ip(&[&format!("route add {ip}/32 dev {port}")])?;
            namespace.ip(&[&format!("addr add {ip}/32 dev {interface}")])?;
        }
        namespace.ip(&[
            &format!("route add {ROUTER}/32 dev {interface}"),
            &format!("route add default via {ROUTER} dev {interface}"),
        ])
    }

    /// Lays IPv6 along the cable of the machine that is at the `first` address.
    pub(crate) fn connect_ipv6(
        &self,
        machine: (&Namespace, &str),
        first: Ipv4Addr,
        address: Ipv6Addr,
        behind: Option<Ipv6Addr>,
    ) -> Result<()> {
        ipv6::connect((&self.namespace, &format!("to-{first}")), machine, address, behind)
    }

    /// Gives the machine at the end of a cable another address in place of the `first`.
    pub(crate) fn readdress(&self, namespace: &Namespace, first: Ipv4Addr) -> Result<Ipv4Addr> {
        let ip = self.next_address();
        self.namespace.ip(&[&format!("route add {ip}/32 dev to-{first}")])?;
        namespace.ip(&[
            "addr flush dev wan",
            &format!("addr add {ip}/32 dev wan"),
            &format!("route replace {ROUTER}/32 dev wan"),
            &format!("route replace default via {ROUTER} dev wan"),
        ])?;
        Ok(ip)
    }

    fn next_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(203, 0, 113, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Network for Internet {
    fn plug(&self, namespace: &Namespace, interface: &str) -> Result<Ipv4Addr> {
        let ip = self.next_address();
        self.connect(namespace, interface, &[ip])?;
        Ok(ip)
    }
}

/// Where machines get both addresses of the server.
struct ServerRoom<'a>(&'a Internet);

impl Network for ServerRoom<'_> {
    fn plug(&self, namespace: &Namespace, interface: &str) -> Result<Ipv4Addr> {
        let [first, _] = SERVER;
        self.0.connect(namespace, interface, &SERVER)?;
        Ok(first)
    }
}
