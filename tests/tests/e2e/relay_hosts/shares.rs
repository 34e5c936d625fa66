//! What one tenant has of relay hosts, set by its limits: at one in a process of its own, and at the one inside the node.

use std::{
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use switchhook_client::{
    network::{DatagramSocket as _, recv_from},
    relay::Allocation,
};
use switchhook_protocol::relay::RelayCredentials;
use switchhook_tests::{
    admin::Admin,
    host::{Host, Transit, client_settings, tenant},
    phone::{Phone, open},
    port,
    relay_host::RelayHost,
    waiting::{in_time, until},
};
use tokio::{net::UdpSocket, process::Command};

use super::{ALICE, Agreed, BOB, EU, PROGRAM, agree, relay_of};

const REFUSED: &str = r#"switchhook_relay_refused_requests_total{reason="quota-reached"}"#;
const LIMITED: &str = "switchhook_relay_limited_packets_total";

/// More than what the bounded tenant has in a second, so that none ever fits.
const DATAGRAM: [u8; 1_200] = [7; 1_200];

/// REL-1.two-hosts, REL-3.udp
#[tokio::test]
async fn rel_3_what_is_set_for_one_tenant_counts_at_every_relay_host_and_for_nobody_else() -> Result<()> {
    let host = Host::with(|settings| {
        settings.relay.allow_loopback = true;
        settings.relay.region = "us".to_owned();
    })
    .await?;
    let eu = relay_host(&host).await?;
    let counted = [Admin::new(eu.http.context("no port for operators")?, ""), host.admin.clone()];
    let transit = neighbours_transit(&host).await?;
    let mut bounded = [host.phone(ALICE).await?, host.phone(BOB).await?];
    let mut neighbours = [neighbour(&host, &transit, ALICE).await?, neighbour(&host, &transit, BOB).await?];
    set(&host, &["relay_allocations=1", "relay_kilobytes=1"]).await?;

    let bounded = credentials(&mut bounded).await?;
    let neighbours = credentials(&mut neighbours).await?;
    assert_eq!(bounded.each_ref().map(|relay| relay.server), [eu.relay, host.addresses().relay]);
    assert_eq!(neighbours.each_ref().map(|relay| relay.server), [eu.relay, host.addresses().relay]);

    for ((own, others), counted) in bounded.iter().zip(&neighbours).zip(&counted) {
        let held = allocated(own).await?;
        let beyond = in_time("the answer", Allocation::open(&*open(), own)).await?;
        assert!(beyond.is_err(), "a second one of the tenant");
        assert_eq!(counted.metric(REFUSED).await?, Some(1.0));
        let free = [allocated(others).await?, allocated(others).await?];
        assert_eq!(counted.metric(REFUSED).await?, Some(1.0), "the neighbour is not refused");

        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let to = peer.local_addr()?;
        let before = counted.metric(LIMITED).await?.context("not counted")?;
        let limited = until("a datagram beyond the tenant's share", async || {
            held.send_to(&DATAGRAM, to)?;
            let limited = counted.metric(LIMITED).await?.context("not counted")?;
            Ok((limited > before).then_some(()))
        });
        beside_receiving(&held, limited).await?;
        assert!(peer.try_recv_from(&mut [0; 1]).is_err(), "none of it fits");
        for allocation in &free {
            assert_eq!(first_from(allocation).await?, allocation.relayed());
        }
    }
    Ok(())
}

/// Sends until something arrives; from where that comes.
async fn first_from(allocation: &Allocation) -> Result<SocketAddr> {
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let to = peer.local_addr()?;
    let first = until("a datagram", async || {
        allocation.send_to(&DATAGRAM, to)?;
        Ok(peer.try_recv_from(&mut [0; 1]).ok().map(|(_, from)| from))
    });
    beside_receiving(allocation, first).await
}

/// The relay's answers are read while this goes on.
async fn beside_receiving<T>(allocation: &Allocation, what: impl Future<Output = Result<T>>) -> Result<T> {
    let mut buffer = [0; 2_048];
    let mut what = pin!(what);
    loop {
        tokio::select! {
            outcome = &mut what => return outcome,
            received = recv_from(allocation, &mut buffer) => drop(received?),
        }
    }
}

async fn allocated(credentials: &RelayCredentials) -> Result<Allocation> {
    Ok(in_time("the allocation", Allocation::open(&*open(), credentials)).await??)
}

/// Of a call, the inviter's first.
async fn credentials([alice, bob]: &mut [Phone; 2]) -> Result<[RelayCredentials; 2]> {
    let Agreed { inviter: (_, inviter), callee: (_, callee) } = agree(alice, bob).await?;
    Ok([relay_of(&inviter)?.clone(), relay_of(&callee)?.clone()])
}

/// One in Europe that relays to this machine, too.
async fn relay_host(host: &Host) -> Result<RelayHost> {
    let token = host.admin.add_relay_host("eu-1").await?;
    let at = SocketAddr::new(EU, port::of_nobody(EU)?).to_string();
    let options = ["--region", "eu", "--http-listen", "127.0.0.1:0", "--allow-loopback-relay"];
    let eu = RelayHost::start(PROGRAM, (host.addresses().http, &token), &at, options).await?;
    let known = serde_json::json!({ "state": "alive", "knows_others": true });
    host.admin.relay_host_is(&eu.id, &known).await?;
    Ok(eu)
}

const NEIGHBOUR: &str = "globex";

async fn neighbours_transit(host: &Host) -> Result<Transit> {
    let admin = host.admin.at(NEIGHBOUR);
    admin.create_tenant().await?;
    let secret = "a secret that its carrier shares with it";
    let transit = Transit::start(host.addresses().http, &tenant(NEIGHBOUR)?, secret).await?;
    admin.put_gateway(&transit.send_url, secret).await?;
    Ok(transit)
}

/// A phone of the other tenant.
async fn neighbour(host: &Host, transit: &Transit, number: &str) -> Result<Phone> {
    let mut phone = Phone::enrol(client_settings(host.addresses().http, NEIGHBOUR, "phone")?).await?;
    phone.register(&transit.carrier, &number.parse()?).await?;
    Ok(phone)
}

/// Sets limits of the first tenant, as its operator does.
async fn set(host: &Host, limits: &[&str]) -> Result<()> {
    let mut command = Command::new(PROGRAM);
    command.args(["tenant", "limits", "default"]).args(limits).arg("--json");
    command.args(["--server", &format!("http://{}", host.addresses().http), "--data"]).arg(host.data());
    let output = command.env_remove("SWITCHHOOK_TOKEN").kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    ensure!(said.pointer("/in_force/relay_allocations") == Some(&1.into()), "{said}");
    Ok(())
}
