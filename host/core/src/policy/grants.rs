//! What a plugin may do beyond answering: nothing, unless its tenant grants it.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

/// The capabilities of one plugin of a tenant. The default grants nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// Hosts that it may ask over HTTP: `crm.example.com`, `*.example.com`, each with an optional port.
    pub outbound: Vec<String>,
    /// Room for its key-value pairs, in bytes; 0: it has none.
    pub key_value_bytes: u64,
    /// Requests that it may make in a minute.
    pub fetches_per_minute: u32,
}

/// Why grants cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrants {
    /// More than [`MAX_HOSTS`].
    #[error("more than 32 outbound hosts")]
    TooManyHosts,
    /// What stands for a host is none.
    #[error("{0:?} is not a host name, optionally with a port and a leading `*.`")]
    Host(String),
    /// Hosts without requests, or the other way round.
    #[error("outbound hosts and fetches_per_minute go together")]
    Half,
}

impl Grants {
    /// Names the first rule that these grants break.
    pub fn check(&self) -> Result<(), InvalidGrants> {
        if self.outbound.len() > MAX_HOSTS {
            return Err(InvalidGrants::TooManyHosts);
        }
        if let Some(wrong) = self.outbound.iter().find(|host| !is_pattern(host)) {
            return Err(InvalidGrants::Host(wrong.clone()));
        }
        if self.outbound.is_empty() != (self.fetches_per_minute == 0) {
            return Err(InvalidGrants::Half);
        }
        Ok(())
    }

    /// Whether a request may go to this host, on this port; `usual` says that it is the scheme's own.
    pub fn allow(&self, host: &str, port: u16, usual: bool) -> bool {
        self.outbound.iter().any(|pattern| fits(pattern, host, port, usual))
    }
}

fn fits(pattern: &str, host: &str, port: u16, usual: bool) -> bool {
    let (name, wanted) = split(pattern);
    let port_fits = wanted.map_or(usual, |wanted| wanted.parse() == Ok(port));
    let host = host.trim_end_matches('.');
    let name_fits = match name.strip_prefix("*.") {
        // A subdomain, not the domain itself.
        Some(domain) => (host.len() > domain.len() + 1)
            .then(|| host.split_at_checked(host.len() - domain.len()))
            .flatten()
            .is_some_and(|(front, back)| front.ends_with('.') && back.eq_ignore_ascii_case(domain)),
        None => name.eq_ignore_ascii_case(host),
    };
    port_fits && name_fits
}

fn split(pattern: &str) -> (&str, Option<&str>) {
    pattern.split_once(':').map_or((pattern, None), |(name, port)| (name, Some(port)))
}

fn is_pattern(pattern: &str) -> bool {
    let (name, port) = split(pattern);
    let name = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    name.len() <= 253 && name.split('.').all(label) && port_fits
}

/// Most outbound hosts of a plugin: its tenant's own services.
pub const MAX_HOSTS: usize = 32;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn to(hosts: &[&str]) -> Grants {
        Grants {
            outbound: hosts.iter().map(|&host| host.into()).collect(),
            fetches_per_minute: 10,
            ..Grants::default()
        }
    }

    #[test]
    fn plug_4_nothing_is_granted_by_default() {
        assert!(!Grants::default().allow("crm.example.com", 443, true));
    }

    #[test]
    fn a_host_is_granted_by_name_or_below_a_domain_on_the_usual_port_or_the_one_named() {
        let grants = to(&["crm.example.com", "*.acme.test", "hook.test:8443"]);
        assert!(grants.allow("CRM.example.com", 443, true));
        assert!(grants.allow("a.b.acme.test", 443, true));
        assert!(grants.allow("hook.test", 8443, false));
        assert!(!grants.allow("acme.test", 443, true));
        assert!(!grants.allow("notacme.test", 443, true));
        assert!(!grants.allow("crm.example.com", 8443, false));
        assert!(!grants.allow("hook.test", 443, true));
        assert!(!grants.allow("evil-crm.example.com", 443, true));
        assert!(!grants.allow("éacme.test", 443, true));
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        assert_eq!(to(&["crm.example.com", "*.acme.test", "hook.test:8443"]).check(), Ok(()));
        for wrong in ["", "*", "https://a.test", "a b", "a..b", "a.test:0", "a.test:port", "*.*.test"] {
            assert_eq!(to(&[wrong]).check(), Err(InvalidGrants::Host(wrong.into())), "{wrong}");
        }
        let silent = Grants { fetches_per_minute: 0, ..to(&["a.test"]) };
        assert_eq!(silent.check(), Err(InvalidGrants::Half));
        let many = Grants { outbound: vec!["a.test".into(); 33], ..to(&[]) };
        assert_eq!(many.check(), Err(InvalidGrants::TooManyHosts));
    }
}
