//! CDX, asked through NATs by a client of others.

use std::{net::SocketAddr, sync::Arc, thread};

use anyhow::{Context as _, Result};
use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_cdx::{Cdx, CdxConfig, Ip};
use switchhook_core::seal::{RootKeys, Scope};
use switchhook_netlab::{Lab, Nat};
use switchhook_protocol::time::Timestamp;
use tokio::runtime::Runtime;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    kinds::{discover, is_found_to_be},
    lab_with,
};

/// NAT-1.filtering
#[test]
fn with_two_addresses_cdx_lets_a_client_find_out_how_its_nat_maps_and_filters() -> Result<()> {
    let Some(lab) = lab("with_two_addresses_cdx_lets_a_client_find_out_how_its_nat_maps_and_filters")? else {
        return Ok(());
    };
    let [first, second] = lab.server_ips();
    let running = Running::start(&lab, Some(second.into()))?;
    assert_eq!(running.addr.ip(), first);

    // No address-dependent mapping: for its third question coturn's client takes the other address out of
    // the second answer, which by RFC 5780 §7.4 is the first again; it should take the first answer's.
    let nats = [Nat::FullCone, Nat::RestrictedCone, Nat::PortRestricted, Nat::Symmetric, Nat::SymmetricOpen];
    let sites = nats.iter().map(|nat| Ok((*nat, lab.site(*nat)?))).collect::<Result<Vec<_>>>()?;
    // The client finds out by waiting for what does not come: side by side that takes less time.
    thread::scope(|scope| {
        let asked =
            sites.iter().map(|(nat, site)| (nat, scope.spawn(|| discover(site.host(), running.addr))));
        for (nat, asked) in asked.collect::<Vec<_>>() {
            is_found_to_be(*nat, &asked.join().ok().context("the client panicked")??)?;
        }
        Ok(())
    })
}

/// NAT-1.filtering
#[test]
fn with_one_address_cdx_lets_no_client_believe_that_it_found_out() -> Result<()> {
    let Some(lab) = lab("with_one_address_cdx_lets_no_client_believe_that_it_found_out")? else {
        return Ok(());
    };
    let running = Running::start(&lab, None)?;
    let site = lab.site(Nat::PortRestricted)?;
    let said = discover(site.host(), running.addr)?;
    assert!(said.contains("UDP reflexive addr"), "{said}");
    assert!(!said.contains("Mapping!") && !said.contains("Filtering!"), "{said}");
    Ok(())
}

fn lab(test: &str) -> Result<Option<Lab>> {
    lab_with(test, &["turnutils_natdiscovery"])
}

/// CDX on the lab's server.
struct Running {
    _runtime: Runtime,
    addr: SocketAddr,
}

impl Running {
    fn start(lab: &Lab, other_ip: Option<std::net::IpAddr>) -> Result<Self> {
        let runtime = Runtime::new()?;
        let config = CdxConfig {
            ip: Ip { bind: lab.server().ip().into(), public: None },
            other_ip: other_ip.map(|bind| Ip { bind, public: None }),
            ..CdxConfig::default()
        };
        let keys = RootKeys::new([1; 32], []).ring(Scope::Cdx);
        let now: switchhook_cdx::Clock = Arc::new(|| Timestamp::from_millis(1_700_000_000_000));
        let mut rng = StdRng::seed_from_u64(1);
        let cdx = lab
            .server()
            .enter(|| runtime.block_on(async { Cdx::bind(&config, &keys, &now, &mut rng) }))??;
        let [addr, _] = cdx.addrs();
        let _guard = runtime.enter();
        cdx.run(&TaskTracker::new(), &CancellationToken::new());
        Ok(Self { _runtime: runtime, addr })
    }
}
