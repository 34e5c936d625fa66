//! The relay, reached through NATs by a client of others.

use std::{net::SocketAddr, process::Command, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use switchhook_core::{
    relay_peers::PeerPolicy,
    relay_token::{RelayShare, RelayToken, TurnCredentials},
    seal::{KeyRing, RootKeys, Scope},
};
use switchhook_netlab::{Host, Lab, Nat};
use switchhook_protocol::time::Timestamp;
use switchhook_relay::{ALPN, Quota, Relay, RelayConfig, TlsPort};
use tokio::runtime::Runtime;

use crate::lab_with;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const HOST: &str = "relay-1";

/// Of public addresses in the lab, which are for documentation elsewhere.
const SITES: &str = "203.0.113.0/24";

/// REL-3.tcp
#[test]
fn where_no_udp_gets_out_a_client_relays_over_tcp() -> Result<()> {
    let Some(lab) = lab("where_no_udp_gets_out_a_client_relays_over_tcp")? else { return Ok(()) };
    // A network that lets out nothing but HTTPS reaches a relay on that port.
    for (nat, port) in [(Nat::NoUdp, 3478), (Nat::HttpsOnly, 443)] {
        let running = Running::start(&lab, port, None)?;
        let site = lab.site(nat)?;
        let said = running.relayed_by(site.host(), &["-t"])?;
        ensure!(said.contains("tot_send_msgs=10, tot_recv_msgs=10"), "{nat}: {said}");
    }
    Ok(())
}

/// REL-3.tls
#[test]
fn where_nothing_but_https_gets_out_a_client_relays_over_tls() -> Result<()> {
    let Some(lab) = lab("where_nothing_but_https_gets_out_a_client_relays_over_tls")? else { return Ok(()) };
    let running = Running::start(&lab, 3478, Some(encrypted(443)?))?;
    let site = lab.site(Nat::HttpsOnly)?;
    ensure!(running.addr.port() == 443, "{}", running.addr);
    let said = running.relayed_by(site.host(), &["-t", "-S"])?;
    ensure!(said.contains("tot_send_msgs=10, tot_recv_msgs=10"), "{said}");
    Ok(())
}

/// REL-3.udp
#[test]
fn behind_the_hardest_nats_a_client_relays_over_udp() -> Result<()> {
    let Some(lab) = lab("behind_the_hardest_nats_a_client_relays_over_udp")? else { return Ok(()) };
    let running = Running::start(&lab, 3478, None)?;
    for nats in [&[Nat::Symmetric][..], &[Nat::RandomMasquerade, Nat::SymmetricSequential]] {
        let site = lab.behind(nats)?;
        let said = running.relayed_by(site.host(), &[])?;
        ensure!(said.contains("tot_send_msgs=10, tot_recv_msgs=10"), "{nats:?}: {said}");
    }
    Ok(())
}

fn lab(test: &str) -> Result<Option<Lab>> {
    lab_with(test, &["turnutils_uclient"])
}

/// TLS with a certificate that nobody checks: whether clients do is their own tests' matter.
fn encrypted(port: u16) -> Result<TlsPort> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["relay.example".to_owned()])?;
    let certificate: CertificateDer<'static> = cert.der().clone();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsPort { port, config: Arc::new(config) })
}

/// A relay on the lab's server.
pub(crate) struct Running {
    runtime: Runtime,
    relay: Option<Relay>,
    /// Where clients come: over TLS, if it takes that.
    pub(crate) addr: SocketAddr,
    keys: KeyRing,
}

impl Running {
    pub(crate) fn start(lab: &Lab, port: u16, tls: Option<TlsPort>) -> Result<Self> {
        // Its threads stay where they were made, and open the sockets of allocations there.
        let runtime = lab.server().enter(Runtime::new)??;
        let keys = RootKeys::new([1; 32], []).ring(Scope::Relay(&HOST.parse()?));
        let config = RelayConfig {
            ip: lab.server().ip().into(),
            port,
            tls,
            quota: Quota { each_participant: 8, ..Quota::default() },
            peers: PeerPolicy { allowed: vec![SITES.parse()?], ..PeerPolicy::default() },
            ..RelayConfig::new(HOST.parse()?)
        };
        let bound = || runtime.block_on(Relay::bind(config, keys.clone(), Arc::new(|| NOW)));
        let relay = lab.server().enter(bound)??;
        let addr = relay.tls_addr().unwrap_or_else(|| relay.addr());
        Ok(Self { addr, relay: Some(relay), runtime, keys })
    }

    /// Those of one participant.
    pub(crate) fn credentials(&self) -> Result<TurnCredentials> {
        let token = RelayToken {
            tenant: "acme".parse()?,
            session: "s1".parse()?,
            device: "d1".parse()?,
            host: HOST.parse()?,
            expires_at: NOW.after(Duration::from_hours(1)),
            share: RelayShare::default(),
        };
        Ok(token.mint(&self.keys, &mut rand::rng()))
    }

    /// What coturn's client says after its two clients have sent five messages each through the relay.
    fn relayed_by(&self, host: &Host, transport: &[&str]) -> Result<String> {
        let TurnCredentials { username, password } = self.credentials()?;
        let mut client = Command::new("turnutils_uclient");
        client.args(transport).args(["-y", "-c", "-n", "5", "-m", "2", "-l", "400"]);
        client.args(["-p", &self.addr.port().to_string(), "-u", &username, "-w", &password]);
        host.run(client.arg(self.addr.ip().to_string()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(relay) = self.relay.take() {
            self.runtime.block_on(relay.shutdown());
        }
    }
}
