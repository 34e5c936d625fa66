//! Addresses in the settings: each is read into a type that cannot be wrong, and prints masked where it may have a
//! password.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use reqwest::Url;
use serde::{Deserialize, Serialize};

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

/// Where a relay host finds the nodes: `https://`, or `http://` on this machine alone, since keys come from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerUrl(String);

/// A text that is no place for keys to come from.
#[derive(Debug, thiserror::Error)]
#[error("a server is https://host[:port]; http:// only on this machine, by its address")]
pub struct NotAServerUrl;

impl ServerUrl {
    /// The address of something below it.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.0)
    }
}

impl TryFrom<String> for ServerUrl {
    type Error = NotAServerUrl;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        let parsed: Url = url.parse().or(Err(NotAServerUrl))?;
        let ip = parsed.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        let is_here = ip.is_some_and(|ip| ip.is_loopback());
        let is_safe = parsed.scheme() == "https" || (parsed.scheme() == "http" && is_here);
        is_safe.then(|| Self(url.trim_end_matches('/').to_owned())).ok_or(NotAServerUrl)
    }
}

impl FromStr for ServerUrl {
    type Err = NotAServerUrl;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        url.to_owned().try_into()
    }
}

impl From<ServerUrl> for String {
    fn from(url: ServerUrl) -> Self {
        url.0
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A proxy's address, or the network where proxies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Proxy(IpNet);

impl Proxy {
    /// Whether the address is one of these.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip)
    }
}

impl TryFrom<String> for Proxy {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| address.into()));
        network.map(Self).or(Err(NotANetwork))
    }
}

impl From<Proxy> for String {
    fn from(proxy: Proxy) -> Self {
        proxy.0.to_string()
    }
}

/// A text that is neither an address nor a network.
#[derive(Debug, thiserror::Error)]
#[error("a proxy is an address or a network, like 192.0.2.1 or 10.0.0.0/8")]
pub struct NotANetwork;

/// Where clients reach a node: `wss://node-1.calls.example`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeUrl(String);

impl TryFrom<String> for NodeUrl {
    type Error = NotANodeUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = !text.contains(['?', '#', '@']) && !text.contains(char::is_whitespace);
        let of_socket = |url: Url| matches!(url.scheme(), "ws" | "wss");
        if plain && Url::parse(&text).is_ok_and(of_socket) { Ok(Self(text)) } else { Err(NotANodeUrl) }
    }
}

impl From<NodeUrl> for String {
    fn from(url: NodeUrl) -> Self {
        url.0
    }
}

/// A text that is no address of a node.
#[derive(Debug, thiserror::Error)]
#[error("a node is reached at ws://host or wss://host, with a port or a path if need be")]
pub struct NotANodeUrl;

/// The address of this server as others write it: `https://calls.example`, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The address of what stands there: the path begins with a slash.
    pub(crate) fn of(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = NotAPublicUrl;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let fine =
            |rest: &str| !rest.is_empty() && !rest.ends_with('/') && !rest.contains(['?', '#', ' ', '@']);
        if rest.is_some_and(fine) { Ok(Self(url)) } else { Err(NotAPublicUrl) }
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> Self {
        url.0
    }
}

/// A text that is no address of a server.
#[derive(Debug, thiserror::Error)]
#[error("a public address is https://host, a path after it if need be, and no slash at the end")]
pub struct NotAPublicUrl;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Http, Settings};

    #[test]
    fn a_public_address_is_one_to_which_a_path_can_be_added() {
        let read =
            |url: &str| toml::from_str::<Http>(&format!("web_url = \"{url}\"")).map(|http| http.web_url);
        let url = read("https://calls.example/switchhook").unwrap().unwrap();
        assert_eq!(url.of("/v1/acme"), "https://calls.example/switchhook/v1/acme");
        for wrong in
            ["calls.example", "https://", "https://calls.example/", "https://calls.example?a=b", "ftp://a"]
        {
            read(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_node_is_reached_by_sockets_at_an_address_that_clients_can_go_to() {
        let read = |url: &str| toml::from_str::<Http>(&format!("public_url = \"{url}\""));
        for fine in ["wss://calls.example/", "ws://127.0.0.1:7470", "wss://calls.example/node-1"] {
            assert_eq!(read(fine).unwrap().public_url.map(String::from).as_deref(), Some(fine));
        }
        for wrong in
            ["", "calls.example", "https://calls.example", "wss://", "wss://a b", "wss://me@a", "wss://a?b"]
        {
            read(wrong).unwrap_err();
        }
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
