//! What an operator may set; the defaults start on a laptop.
//!
//! One TOML file, every section optional, unknown keys refused. Without a file: the data folder
//! `switchhook-data` in the current one, loopback, built-in relay and CDX.

mod addresses;
mod ports;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use switchhook_core::{limits::Limits, relay_peers::AddressRange};
use switchhook_plugin_runtime::{Deadlines, EngineSettings};

pub use self::{
    addresses::{
        BusUrl, DatabaseUrl, NodeUrl, NotANetwork, NotANodeUrl, NotAPostgresUrl, NotAPublicUrl,
        NotAServerUrl, Proxy, PublicUrl, ServerUrl,
    },
    ports::{NotAPortRange, PortRange},
};

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where database, secrets and compiled plugins lie; made at the first start.
    pub data: PathBuf,
    /// A PostgreSQL database to use instead of a file in the data folder.
    #[serde(skip_serializing)]
    pub database: Option<DatabaseUrl>,
    /// NATS servers that connect the nodes on one PostgreSQL database: `nats://host:4222`, several of one cluster
    /// separated by commas.
    #[serde(skip_serializing)]
    pub bus: Option<BusUrl>,
    /// Takes a PostgreSQL server that may lose what it confirms (`fsync = off`), for tests.
    pub allow_lossy_database: bool,
    /// HTTP and WebSocket.
    pub http: Http,
    /// TLS on the port of HTTP and WebSocket; without it, a proxy ends TLS.
    pub tls: Option<Tls>,
    /// Connection data exchange: STUN on two ports, over UDP and TCP.
    pub cdx: Cdx,
    /// The built-in relay.
    pub relay: Relay,
    /// What plugins may reach.
    pub plugins: Plugins,
    /// Where tenants' SMS gateways and mail servers may be.
    pub gateways: Gateways,
    /// Tenants' mail servers.
    pub mail: Mail,
    /// Running sessions.
    pub sessions: Sessions,
    /// How much the devices of any tenant may do; a tenant sets its own below.
    pub limits: Limits,
    /// The program that compiles uploads in a process of its own (`… compile-plugin`): this one, where it has
    /// that command. Without it they are compiled in this process.
    #[serde(skip)]
    pub compiler: Option<PathBuf>,
    /// How long plugins may take; other ones are for tests, on machines that have more to do.
    #[serde(skip)]
    pub deadlines: Deadlines,
    /// What plugins run in; a smaller one is for tests where address space is scarce.
    #[serde(skip)]
    pub engine: EngineSettings,
}

/// HTTP and WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where clients reach this one of several nodes, on every node or on none: those of a node that leaves are sent
    /// there. Also what it is called in the table of nodes and in the logs of the others; by default that is `ws://`
    /// (with TLS `wss://`) and the address where it listens, and nobody is sent there.
    pub public_url: Option<NodeUrl>,
    /// Where the world reaches the server, behind its proxies: what webhooks are signed over, and where links in mails
    /// lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_url: Option<PublicUrl>,
    /// Addresses and networks of proxies before this server, who are believed whom they speak for.
    pub proxies: Vec<Proxy>,
    /// In which header they say it.
    pub forwarding: Forwarding,
    /// How many sockets one address may have: an IPv4 address, or 64 bits of an IPv6 one.
    pub sockets_of_address: u32,
    /// How many sockets one tenant may have on this server.
    pub sockets_of_tenant: u32,
}

/// The header in which proxies say for whom they speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarding {
    /// `X-Forwarded-For`, which most proxies write.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Forwarding {
    /// The header's name.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// TLS on the port of HTTP and WebSocket. The files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The server's certificate and those between it and its authority, in PEM.
    pub certificate: PathBuf,
    /// The certificate's private key, in PEM.
    pub key: PathBuf,
    /// Asks clients for a certificate, which tenants may then require. Browsers that have one ask their users.
    #[serde(default)]
    pub client_certificates: bool,
}

/// Connection data exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cdx {
    /// Where to listen.
    pub ip: IpAddr,
    /// The two ports; 0 takes any.
    pub ports: [u16; 2],
    /// The address that clients reach, if it is another one.
    pub public_ip: Option<IpAddr>,
    /// A second address to listen on, by which clients discover how their NAT filters.
    pub other_ip: Option<IpAddr>,
    /// The address under which clients reach that one, if it is another.
    pub other_public_ip: Option<IpAddr>,
    /// An address of the other family (IPv6 where the first is IPv4) to listen on, with the same ports: clients learn
    /// where they are seen in both.
    pub other_family_ip: Option<IpAddr>,
    /// The address under which clients reach that one, if it is another.
    pub other_family_public_ip: Option<IpAddr>,
}

/// The built-in relay; of `switchhook relay` all that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Where to listen for TURN, over UDP and TCP.
    pub listen: SocketAddr,
    /// The address that clients reach and that allocations get, if it is another one.
    pub public_ip: Option<IpAddr>,
    /// An address of the other family to listen on: allocations then have addresses of either, or of both.
    pub other_ip: Option<IpAddr>,
    /// The address under which clients and peers reach that one, if it is another.
    pub other_public_ip: Option<IpAddr>,
    /// The port of TURN over TLS, with the certificate of `[tls]`; 5349 as a rule.
    pub tls_port: Option<u16>,
    /// The name that this certificate is for: clients are told of the port with it, and not without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_name: Option<String>,
    /// Ports of allocations; without, the system's choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<PortRange>,
    /// Allocations that there may be; 0 sends nobody there.
    pub allocations: usize,
    /// Allocations that one tenant may hold.
    pub allocations_of_tenant: usize,
    /// Bytes that are relayed for one session, both ways; 0 is no limit.
    pub bytes_per_second_of_session: u64,
    /// Bytes that are relayed for one tenant, both ways; 0 is no limit.
    pub bytes_per_second_of_tenant: u64,
    /// Name of the region where it stands.
    pub region: String,
    /// Networks that it is near to, whatever their devices say of their region.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<AddressRange>,
    /// Whether allocations follow clients that go to another address, if these ask for it (RFC 8016).
    pub mobility: bool,
    /// Whether clients that come over TCP or TLS may have allocations of TCP, so that the relay connects to peers, and they to
    /// it (RFC 6062). No client of Switchhook's needs them.
    pub tcp_allocations: bool,
    /// For `switchhook relay`: where to answer `/healthz`, `/readyz` and `/metrics`, by plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_listen: Option<SocketAddr>,
    /// For `switchhook relay`: where the nodes are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerUrl>,
    /// For `switchhook relay`: the file with its token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// For `switchhook relay`: seconds that it goes on at its end for those who still use it.
    pub drain_s: u32,
    /// Lets relayed traffic reach this machine itself: for a laptop and for tests, never in production.
    pub allow_loopback: bool,
    /// Addresses and networks that relayed traffic may reach besides the public internet.
    pub allow: Vec<AddressRange>,
    /// Public addresses and networks that it may not reach: the operator's own.
    pub refuse: Vec<AddressRange>,
}

/// Plugins of tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plugins {
    /// Lets requests of plugins and webhooks reach this machine itself: for a laptop and for tests.
    pub allow_loopback: bool,
}

/// SMS gateways and mail servers of tenants: where they may be besides the public internet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateways {
    /// Lets them be on this machine itself: for a laptop and for tests.
    pub allow_loopback: bool,
    /// Addresses and networks where they may be, such as an SMSC's behind a private link.
    pub allow: Vec<AddressRange>,
    /// A PEM file of authorities that vouch for SMSCs besides the public ones: those of a private network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
}

/// Mail servers of tenants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// A PEM file of authorities that vouch for mail servers besides the public ones: those of a private network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// Seconds after which a mail is in doubt whose server has all of it and has not said that it took it.
    pub taken_within_s: u16,
}

/// Running sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Seconds after which a participant whose device has vanished is taken out.
    pub lost_after_s: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: PathBuf::from("switchhook-data"),
            database: None,
            bus: None,
            allow_lossy_database: false,
            http: Http::default(),
            tls: None,
            cdx: Cdx::default(),
            relay: Relay::default(),
            plugins: Plugins::default(),
            gateways: Gateways::default(),
            mail: Mail::default(),
            sessions: Sessions::default(),
            limits: Limits::default(),
            compiler: None,
            deadlines: Deadlines::default(),
            engine: EngineSettings::default(),
        }
    }
}

impl Default for Mail {
    /// As [`MAIL_TAKEN`](switchhook_delivery::limits::MAIL_TAKEN) says.
    fn default() -> Self {
        Self { authorities: None, taken_within_s: 60 }
    }
}

impl Default for Sessions {
    /// Longer than a change of networks and a client's tries to come back, shorter than people wait before a
    /// frozen picture.
    fn default() -> Self {
        Self { lost_after_s: 60 }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7470)),
            public_url: None,
            web_url: None,
            proxies: Vec::new(),
            forwarding: Forwarding::default(),
            // A carrier lets some thousand subscribers share an address.
            sockets_of_address: 4_096,
            sockets_of_tenant: 100_000,
        }
    }
}

impl Default for Cdx {
    fn default() -> Self {
        Self {
            ip: Ipv4Addr::LOCALHOST.into(),
            ports: [3479, 3480],
            public_ip: None,
            other_ip: None,
            other_public_ip: None,
            other_family_ip: None,
            other_family_public_ip: None,
        }
    }
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3478)),
            public_ip: None,
            other_ip: None,
            other_public_ip: None,
            tls_port: None,
            tls_name: None,
            ports: None,
            allocations: 10_000,
            allocations_of_tenant: 10_000,
            bytes_per_second_of_session: 0,
            bytes_per_second_of_tenant: 0,
            region: String::from("local"),
            near: Vec::new(),
            mobility: true,
            tcp_allocations: false,
            http_listen: None,
            server: None,
            token_file: None,
            // Longer than most calls still last.
            drain_s: 600,
            allow_loopback: false,
            allow: Vec::new(),
            refuse: Vec::new(),
        }
    }
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The file is no TOML of this form; the text says where.
    #[error("{} is not a settings file: {why}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: Box<toml::de::Error>,
    },
}

impl Settings {
    /// Everything on loopback, on ports that are free, in this folder.
    pub fn on_free_ports(data: PathBuf) -> Self {
        Self { data, ..Self::default() }.with_free_ports()
    }

    /// The same on ports that are free.
    #[must_use]
    pub fn with_free_ports(mut self) -> Self {
        self.http.listen.set_port(0);
        self.cdx.ports = [0, 0];
        self.relay.listen.set_port(0);
        self.relay.tls_port = self.relay.tls_port.map(|_| 0);
        self
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = fs::read_to_string(path).map_err(|error| SettingsError::Read(path.to_owned(), error))?;
        toml::from_str(&text)
            .map_err(|error| SettingsError::Form { path: path.to_owned(), why: Box::new(error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_and_a_missing_section_has_its_default() {
        let read = toml::from_str::<Settings>("[relay]\nallow_loopback = true").unwrap();
        assert!(read.relay.allow_loopback);
        assert_eq!(read.http, Http::default());
        let wrong = toml::from_str::<Settings>("[relay]\nallow_lopback = true").unwrap_err();
        assert!(wrong.to_string().contains("allow_lopback"), "{wrong}");
    }

    #[test]
    fn reg_7_a_mail_servers_silence_is_as_long_as_its_limit_says() {
        let limit = switchhook_delivery::limits::MAIL_TAKEN.as_secs();
        assert_eq!(u64::from(Mail::default().taken_within_s), limit);
        let read = toml::from_str::<Settings>("[mail]\ntaken_within_s = 5").unwrap();
        assert_eq!(read.mail, Mail { authorities: None, taken_within_s: 5 });
    }

    #[test]
    fn free_ports_change_the_ports_alone() {
        let text = "[http]\nlisten = \"192.0.2.1:80\"\nsockets_of_tenant = 7\n[sessions]\nlost_after_s = 9\n\
            [cdx]\nip = \"192.0.2.1\"\n[relay]\nlisten = \"192.0.2.1:81\"\nregion = \"eu\"";
        let free = toml::from_str::<Settings>(text).unwrap().with_free_ports();
        let free_text =
            text.replace(":80", ":0").replace(":81", ":0").replace("[cdx]", "[cdx]\nports = [0, 0]");
        assert_eq!(free, toml::from_str(&free_text).unwrap());
    }

    #[test]
    fn gateways_are_allowed_in_networks_and_are_shown_as_they_were_set() {
        let read = |allow: &str| toml::from_str::<Settings>(&format!("[gateways]\nallow = [\"{allow}\"]"));
        let gateways = read("10.1.0.0/16").unwrap().gateways;
        let range: AddressRange = "10.1.0.0/16".parse().unwrap();
        assert_eq!(gateways, Gateways { allow_loopback: false, allow: vec![range], authorities: None });
        assert!(toml::to_string(&gateways).unwrap().contains("allow = [\"10.1.0.0/16\"]"));
        read("smsc.example").unwrap_err();
    }
}
