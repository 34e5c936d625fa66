//! The address of a client behind proxies that the operator has named.
//!
//! Each proxy adds the address that it sees at the end of a header. So the header is read from its end,
//! as long as whoever is named is a proxy of the operator's; what stands further left may be anybody's
//! invention. From anybody else the header says nothing.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::settings::{Forwarding, Http, Proxy};

/// The operator's proxies.
#[derive(Debug, Clone)]
pub(crate) struct Proxies {
    proxies: Vec<Proxy>,
    forwarding: Forwarding,
}

impl Proxies {
    pub(crate) fn new(settings: &Http) -> Self {
        Self { proxies: settings.proxies.clone(), forwarding: settings.forwarding }
    }

    /// Whether the address is a proxy's.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.contains(ip.to_canonical()))
    }

    /// The client's address, as the last proxy that is to be believed has it.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers.get_all(self.forwarding.header()).into_iter().rev();
        let named = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        let mut client = peer;
        for element in named {
            if !self.has(client) {
                return client;
            }
            let Some(further) = self.address(element) else { return client };
            client = further;
        }
        client
    }

    fn address(&self, element: &str) -> Option<IpAddr> {
        match self.forwarding {
            Forwarding::XForwardedFor => parse(element),
            Forwarding::Forwarded => {
                let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
                let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
                parse(node.trim().trim_matches('"'))
            }
        }
    }
}

/// An address with or without a port; of IPv6 in brackets, or bare.
fn parse(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
    let alone = bare.parse().ok();
    alone.or_else(|| Some(node.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.7";

    #[test]
    fn a_header_is_read_from_its_end_as_long_as_proxies_are_named() {
        let client = |lines: &[&str]| by(Forwarding::XForwardedFor, PROXY, lines);
        assert_eq!(client(&[]), PROXY);
        assert_eq!(client(&["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client(&["198.51.100.9, 192.0.2.1, 10.1.1.1"]), "192.0.2.1", "the first is an invention");
        assert_eq!(client(&["192.0.2.1", "10.1.1.1"]), "192.0.2.1");
        assert_eq!(client(&["192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(client(&["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client(&["2001:db8::1"]), "2001:db8::1");
        assert_eq!(client(&["192.0.2.1, unknown"]), PROXY);
        assert_eq!(client(&["10.1.1.1, 10.1.1.2"]), "10.1.1.1", "a client inside");
    }

    #[test]
    fn the_standard_header_is_read_where_the_operator_says_so() {
        let client = |lines: &[&str]| by(Forwarding::Forwarded, PROXY, lines);
        assert_eq!(client(&["for=198.51.100.9, FOR=192.0.2.1;proto=https"]), "192.0.2.1");
        assert_eq!(client(&[r#"proto=https; for="[2001:db8::1]:4711""#]), "2001:db8::1");
        assert_eq!(client(&["for=192.0.2.1, for=_hidden"]), PROXY);
        assert_eq!(client(&["proto=https"]), PROXY);
        assert_eq!(by(Forwarding::XForwardedFor, PROXY, &[]), PROXY);
    }

    #[test]
    fn from_anybody_else_the_header_says_nothing() {
        for stranger in ["192.0.2.9", "11.0.0.1"] {
            assert_eq!(by(Forwarding::XForwardedFor, stranger, &["192.0.2.1"]), stranger);
        }
        assert_eq!(by(Forwarding::XForwardedFor, "::ffff:10.0.0.7", &["192.0.2.1"]), "192.0.2.1");
    }

    fn by(forwarding: Forwarding, peer: &str, lines: &[&str]) -> String {
        let proxies = vec!["10.0.0.0/8".to_owned().try_into().unwrap()];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(forwarding.header(), line.parse().unwrap());
        }
        Proxies { proxies, forwarding }.client(peer.parse().unwrap(), &headers).to_string()
    }
}
