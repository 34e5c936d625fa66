//! Where requests of plugins may go.

use std::{net::IpAddr, str, sync::LazyLock};

use reqwest::Url;
use switchhook_core::{policy::Grants, relay_peers::PeerPolicy};
use switchhook_delivery::Outbound;

/// The first line is the address of a request, each other one a granted host. Where the request may
/// go was granted, label by label, and an address in it is a public one.
pub fn outbound(bytes: &[u8]) -> bool {
    let Some((url, grants)) = read(bytes) else {
        return false;
    };
    if OUTBOUND.judge(&url, &grants).is_err() {
        return false;
    }
    let host = url.host_str().expect("a request that may go goes to a host");
    let port = Port { own: url.port().is_none(), number: url.port_or_known_default() };
    assert!(grants.outbound.iter().any(|granted| covers(granted, host, &port)), "{url} by {grants:?}");
    if let Ok(addr) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        assert!(!is_inside(addr), "{url} leads inside");
    }
    true
}

static OUTBOUND: LazyLock<Outbound> =
    LazyLock::new(|| Outbound::new(PeerPolicy::default()).expect("a client without settings"));

fn read(bytes: &[u8]) -> Option<(Url, Grants)> {
    let mut lines = str::from_utf8(bytes).ok()?.lines();
    let url = Url::parse(lines.next()?).ok()?;
    let outbound = lines.map(str::to_owned).collect();
    let grants = Grants { outbound, key_value_bytes: 0, fetches_per_minute: 1 };
    grants.check().is_ok().then_some((url, grants))
}

/// Where a request goes on its host.
struct Port {
    /// It is the usual one of the scheme.
    own: bool,
    number: Option<u16>,
}

/// The rule of grants said in another way: from the last label to the first.
fn covers(granted: &str, host: &str, port: &Port) -> bool {
    let (name, granted_port) = granted.split_once(':').unwrap_or((granted, ""));
    let host = host.trim_end_matches('.').to_lowercase();
    let name = name.to_lowercase();
    let (mut wanted, mut labels) = (name.rsplit('.'), host.rsplit('.'));
    let name_fits = loop {
        match (wanted.next(), labels.next()) {
            (Some("*"), below) => break below.is_some(),
            (Some(wanted), Some(label)) if wanted == label => {}
            (wanted, label) => break wanted == label,
        }
    };
    let port_fits = if granted_port.is_empty() { port.own } else { granted_port.parse().ok() == port.number };
    name_fits && port_fits
}

/// What the standard library says of addresses, beside the host's own table.
fn is_inside(addr: IpAddr) -> bool {
    match addr.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    }
}
