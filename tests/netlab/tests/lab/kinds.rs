//! Clients of others find out what each NAT is: coturn's against coturn's server.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context as _, Result, ensure};
use switchhook_netlab::{Companion, Filtering, Host, Lab, Mapping, Nat};

use crate::lab_with;

#[test]
fn a_full_cone_is_one() -> Result<()> {
    is_what_it_is_called("a_full_cone_is_one", Nat::FullCone)
}

#[test]
fn a_restricted_cone_is_one() -> Result<()> {
    is_what_it_is_called("a_restricted_cone_is_one", Nat::RestrictedCone)
}

#[test]
fn a_port_restricted_cone_is_one() -> Result<()> {
    is_what_it_is_called("a_port_restricted_cone_is_one", Nat::PortRestricted)
}

#[test]
fn masquerading_is_port_restricted() -> Result<()> {
    is_what_it_is_called("masquerading_is_port_restricted", Nat::Masquerade)
}

#[test]
fn masquerading_beside_open_ports_is_port_restricted_to_the_first_look() -> Result<()> {
    is_what_it_is_called(
        "masquerading_beside_open_ports_is_port_restricted_to_the_first_look",
        Nat::OpenMasquerade,
    )
}

#[test]
fn an_address_dependent_nat_is_one() -> Result<()> {
    is_what_it_is_called("an_address_dependent_nat_is_one", Nat::AddressDependent)
}

#[test]
fn a_symmetric_nat_is_one() -> Result<()> {
    is_what_it_is_called("a_symmetric_nat_is_one", Nat::Symmetric)
}

#[test]
fn a_symmetric_nat_with_sequential_ports_is_one() -> Result<()> {
    is_what_it_is_called("a_symmetric_nat_with_sequential_ports_is_one", Nat::SymmetricSequential)
}

#[test]
fn a_symmetric_nat_with_an_open_filter_is_one() -> Result<()> {
    is_what_it_is_called("a_symmetric_nat_with_an_open_filter_is_one", Nat::SymmetricOpen)
}

#[test]
fn masquerading_with_random_ports_is_symmetric() -> Result<()> {
    is_what_it_is_called("masquerading_with_random_ports_is_symmetric", Nat::RandomMasquerade)
}

fn is_what_it_is_called(test: &str, nat: Nat) -> Result<()> {
    let Some(lab) = lab_with(test, &["turnserver", "turnutils_natdiscovery"])? else { return Ok(()) };
    let site = lab.site(nat)?;
    let _server = coturn(&lab)?;
    let server = SocketAddr::new(lab.server().ip().into(), 3478);
    is_found_to_be(nat, &discover(site.host(), server)?)
}

/// What coturn's client finds out from a server.
pub(crate) fn discover(host: &Host, server: SocketAddr) -> Result<String> {
    let mut client = Command::new("turnutils_natdiscovery");
    host.run(client.args(["-m", "-f", "-p", &server.port().to_string(), &server.ip().to_string()]))
}

/// Whether that is what the NAT is called.
pub(crate) fn is_found_to_be(nat: Nat, said: &str) -> Result<()> {
    let (mapping, filtering) = nat.behaviour().context("it lets no UDP through")?;
    let mapping = match mapping {
        Mapping::EndpointIndependent => "Endpoint Independent",
        Mapping::AddressDependent => "Address Dependent",
        Mapping::AddressAndPortDependent => "Address and Port Dependent",
    };
    let filtering = match filtering {
        Filtering::EndpointIndependent => "Endpoint Independent",
        Filtering::AddressDependent => "Address Dependent",
        Filtering::AddressAndPortDependent => "Address and Port Dependent",
    };
    ensure!(said.contains(&format!("NAT with {mapping} Mapping!")), "{nat}: {said}");
    ensure!(said.contains(&format!("NAT with {filtering} Filtering!")), "{nat}: {said}");
    Ok(())
}

/// coturn as a STUN server with both addresses (RFC 5780).
fn coturn(lab: &Lab) -> Result<Companion> {
    let [first, second] = lab.server_ips().map(|ip| ip.to_string());
    let arguments = ["-n", "-L", &first, "-L", &second, "--stun-only", "--no-tls", "--no-dtls", "--no-cli"];
    let files = ["--log-file", "stdout", "--pidfile", "/dev/null", "--userdb", "/dev/null"];
    let mut server = lab.server().start("turnserver", &[&arguments[..], &files].concat())?;
    server.wait_for("Total General servers")?;
    Ok(server)
}
