//! Clients of others find out what each NAT is: coturn's against coturn's server.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context as _, Result, ensure};
use switchhook_netlab::{Companion, Filtering, Host, Lab, Mapping, Nat};

#[test]
fn a_full_cone_is_one() -> Result<()> {
    is_what_it_is_called(Nat::FullCone)
}

#[test]
fn a_restricted_cone_is_one() -> Result<()> {
    is_what_it_is_called(Nat::RestrictedCone)
}

#[test]
fn a_port_restricted_cone_is_one() -> Result<()> {
    is_what_it_is_called(Nat::PortRestricted)
}

#[test]
fn masquerading_is_port_restricted() -> Result<()> {
    is_what_it_is_called(Nat::Masquerade)
}

#[test]
fn masquerading_beside_open_ports_is_port_restricted_to_the_first_look() -> Result<()> {
    is_what_it_is_called(Nat::OpenMasquerade)
}

#[test]
fn an_address_dependent_nat_is_one() -> Result<()> {
    is_what_it_is_called(Nat::AddressDependent)
}

#[test]
fn a_symmetric_nat_is_one() -> Result<()> {
    is_what_it_is_called(Nat::Symmetric)
}

#[test]
fn a_symmetric_nat_with_sequential_ports_is_one() -> Result<()> {
    is_what_it_is_called(Nat::SymmetricSequential)
}

#[test]
fn a_symmetric_nat_with_an_open_filter_is_one() -> Result<()> {
    is_what_it_is_called(Nat::SymmetricOpen)
}

#[test]
fn masquerading_with_random_ports_is_symmetric() -> Result<()> {
    is_what_it_is_called(Nat::RandomMasquerade)
}

fn is_what_it_is_called(nat: Nat) -> Result<()> {
    let Some(lab) = Lab::or_skip(&format!("{nat} is what it is called"))? else { return Ok(()) };
    let site = lab.site(nat)?;
    let Some(_server) = coturn(&lab)? else { return Ok(()) };
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
    ensure!(said.contains(mapping_in_coturns_words(mapping)), "{nat}: {said}");
    ensure!(said.contains(filtering_in_coturns_words(filtering)), "{nat}: {said}");
    Ok(())
}

const fn mapping_in_coturns_words(mapping: Mapping) -> &'static str {
    match mapping {
        Mapping::EndpointIndependent => "NAT with Endpoint Independent Mapping!",
        Mapping::AddressDependent => "NAT with Address Dependent Mapping!",
        Mapping::AddressAndPortDependent => "NAT with Address and Port Dependent Mapping!",
    }
}

const fn filtering_in_coturns_words(filtering: Filtering) -> &'static str {
    match filtering {
        Filtering::EndpointIndependent => "NAT with Endpoint Independent Filtering!",
        Filtering::AddressDependent => "NAT with Address Dependent Filtering!",
        Filtering::AddressAndPortDependent => "NAT with Address and Port Dependent Filtering!",
    }
}

/// coturn as a STUN server with both addresses (RFC 5780); nothing where it is not installed.
fn coturn(lab: &Lab) -> Result<Option<Companion>> {
    if Command::new("turnserver").arg("--version").output().is_err() {
        println!("skipped: what NATs are called: turnserver is not installed (Debian package coturn)");
        return Ok(None);
    }
    let [first, second] = lab.server_ips().map(|ip| ip.to_string());
    let arguments = ["-n", "-L", &first, "-L", &second, "--stun-only", "--no-tls", "--no-dtls", "--no-cli"];
    let files = ["--log-file", "stdout", "--pidfile", "/dev/null", "--userdb", "/dev/null"];
    let mut server = lab.server().start("turnserver", &[&arguments[..], &files].concat())?;
    server.wait_for("Total General servers")?;
    Ok(Some(server))
}
