//! What an operator may set; the defaults start on a laptop.
//!
//! One TOML file, every section optional, unknown keys refused. Without a file: a data folder beside
//! the caller's home, loopback, built-in relay and CDX.

use std::{
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use switchhook_core::limits::Limits;

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
    /// Connection data exchange: STUN on two UDP ports.
    pub cdx: Cdx,
    /// The built-in relay.
    pub relay: Relay,
    /// What plugins may reach.
    pub plugins: Plugins,
    /// Running sessions.
    pub sessions: Sessions,
    /// How much the devices of any tenant may do; a tenant sets its own below.
    pub limits: Limits,
    /// The program that compiles uploads in a process of its own (`… compile-plugin`): this one, where it has
    /// that command. Without it they are compiled in this process.
    #[serde(skip)]
    pub compiler: Option<PathBuf>,
}

/// Where a PostgreSQL database is: `postgres://user:password@host/database`.
///
/// Prints masked: it may have a password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The real thing, for the driver.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DatabaseUrl {
    type Error = NotAPostgresUrl;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        let of_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        of_postgres.then_some(Self(url)).ok_or(NotAPostgresUrl)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// Where NATS is: `nats://[user:password@]host[:port]` or `tls://…`, with commas between several.
///
/// Prints masked: it may have a password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct BusUrl(String);

impl BusUrl {
    /// The real thing, for the client.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// What is no URL is refused by whoever connects, with the reason.
impl From<String> for BusUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Debug for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BusUrl(…)")
    }
}

/// A text that is no URL of a PostgreSQL database.
#[derive(Debug, thiserror::Error)]
#[error("a database is postgres://user:password@host/name")]
pub struct NotAPostgresUrl;

/// HTTP and WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What clients and other nodes reach this one by, if it is not `ws://` and the address where it listens.
    pub public_url: Option<String>,
}

/// TLS on the port of HTTP and WebSocket. The files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The server's certificate and those between it and its authority, in PEM.
    pub certificate: PathBuf,
    /// The certificate's private key, in PEM.
    pub key: PathBuf,
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
}

/// The built-in relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Where to listen for TURN over UDP.
    pub listen: SocketAddr,
    /// The address that clients reach and that allocations get, if it is another one.
    pub public_ip: Option<IpAddr>,
    /// Name of the region where it stands.
    pub region: String,
    /// Lets relayed traffic reach this machine itself: for a laptop and for tests, never in production.
    pub allow_loopback: bool,
}

/// Plugins of tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plugins {
    /// Lets requests of plugins and webhooks reach this machine itself: for a laptop and for tests.
    pub allow_loopback: bool,
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
            sessions: Sessions::default(),
            limits: Limits::default(),
            compiler: None,
        }
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
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7470)), public_url: None }
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
        }
    }
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3478)),
            public_ip: None,
            region: String::from("local"),
            allow_loopback: false,
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
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            data,
            database: None,
            bus: None,
            allow_lossy_database: false,
            http: Http { listen: any, ..Http::default() },
            tls: None,
            cdx: Cdx { ports: [0, 0], ..Cdx::default() },
            relay: Relay { listen: any, ..Relay::default() },
            plugins: Plugins::default(),
            sessions: Sessions::default(),
            limits: Limits::default(),
            compiler: None,
        }
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
    fn a_database_is_postgres_or_the_file_and_its_password_is_not_printed() {
        let url = "postgres://switchhook:secret@db/switchhook";
        let read = toml::from_str::<Settings>(&format!("database = \"{url}\"")).unwrap();
        assert_eq!(read.database.as_ref().map(DatabaseUrl::reveal), Some(url));
        assert!(!format!("{read:?}").contains("secret"));
        assert!(!toml::to_string(&read).unwrap().contains("secret"));
        assert_eq!(toml::from_str::<Settings>("").unwrap().database, None);
        toml::from_str::<Settings>("database = \"mysql://db\"").unwrap_err();
    }
}
