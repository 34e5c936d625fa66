//! The ways to a relay host: UDP, then TCP, then TLS.

use std::{fs, net::Ipv4Addr, sync::Arc};

use anyhow::{Context as _, Result};
use switchhook_client::relay::{Allocation, RelayError};
use switchhook_protocol::relay::{RelayServer, Transport};
use switchhook_tests::{
    certificates::Authority, phone::open, raw::trusting, relay_host::RelayHost, waiting::in_time,
};
use tokio::net::UdpSocket;

use super::{Agreed, PROGRAM, Stage, relay_of};

/// REL-2
#[tokio::test]
async fn rel_3_where_no_datagram_gets_out_a_client_relays_over_tcp() -> Result<()> {
    let mut stage = Stage::start().await?;
    let Agreed { inviter: (_, inviter), .. } = stage.agree().await?;
    let told = relay_of(&inviter)?;
    let ways: Vec<_> = told.servers.iter().map(|server| (server.transport, server.addr)).collect();
    assert_eq!(ways, [(Transport::Udp, stage.eu.relay), (Transport::Tcp, stage.eu.relay)]);

    // Nothing answers there.
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut credentials = told.clone();
    credentials.servers[0].addr = silent.local_addr()?;
    let allocation = in_time("the allocation", Allocation::open(&*open(), &credentials)).await??;
    assert_eq!(allocation.relayed().ip(), stage.eu.relay.ip());
    stage.host.admin.relay_host_is(&stage.eu.id, &serde_json::json!({ "held": 1 })).await
}

#[tokio::test]
async fn rel_3_allocations_have_the_ports_that_the_operator_names() -> Result<()> {
    let mut stage = Stage::start().await?;
    stage.eu.kill().await?;
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("settings.toml");
    // One that the system does not choose.
    fs::write(&settings, "[relay]\nregion = \"eu\"\nports = \"31200-31200\"\n")?;
    let token = stage.host.admin.add_relay_host("eu-1").await?;
    let server = (stage.host.addresses().http, &*token);
    let options = ["--settings".as_ref(), settings.as_os_str()];
    stage.eu = RelayHost::start(PROGRAM, server, "127.0.0.2:0", options).await?;
    let relay_host = serde_json::json!({ "knows_others": true, "addresses": { "main": stage.eu.relay, "other": null, "tls": null } });
    stage.host.admin.relay_host_is("eu-1", &relay_host).await?;
    stage.host.admin.relay_host_is("us-1", &serde_json::json!({ "knows_others": true })).await?;
    let Agreed { inviter: (_, inviter), .. } = stage.agree().await?;
    let told = relay_of(&inviter)?;
    assert_eq!(told.server, stage.eu.relay);

    let allocation = in_time("the allocation", Allocation::open(&*open(), told)).await??;
    assert_eq!(allocation.relayed().port(), 31_200);
    let refused = in_time("the refusal", Allocation::open(&*open(), told)).await?;
    assert!(matches!(refused, Err(RelayError::Refused { code: 508 })), "{refused:?}");
    Ok(())
}

/// REL-2: the name is verified, and nobody but the relay of that name gets the token.
#[tokio::test]
async fn rel_3_over_tls_a_client_relays_by_the_relay_of_the_name_that_it_was_told() -> Result<()> {
    let mut stage = Stage::start().await?;
    stage.eu.kill().await?;
    let folder = tempfile::tempdir()?;
    let authority = Authority::new("of relays")?;
    let files = authority.server()?.write(folder.path(), "relay")?.settings();
    let settings = folder.path().join("settings.toml");
    fs::write(&settings, files + "[relay]\nregion = \"eu\"\ntls_port = 0\ntls_name = \"localhost\"\n")?;
    let token = stage.host.admin.add_relay_host("eu-1").await?;
    let server = (stage.host.addresses().http, &*token);
    let options = ["--settings".as_ref(), settings.as_os_str()];
    stage.eu = RelayHost::start(PROGRAM, server, "127.0.0.2:0", options).await?;
    let tls = stage.eu.relay_tls.context("no TLS")?;
    let moved = serde_json::json!({ "state": "alive", "knows_others": true, "addresses": {
        "main": stage.eu.relay, "other": null, "tls": { "port": tls.port(), "name": "localhost" } } });
    stage.host.admin.relay_host_is("eu-1", &moved).await?;
    stage.host.admin.relay_host_is("us-1", &serde_json::json!({ "knows_others": true })).await?;

    let Agreed { inviter: (_, inviter), .. } = stage.agree().await?;
    let told = relay_of(&inviter)?;
    let by_tls = RelayServer { transport: Transport::Tls, addr: tls, name: Some("localhost".to_owned()) };
    assert_eq!(told.servers.last(), Some(&by_tls));
    let trust = || Ok::<_, anyhow::Error>(Some(Arc::new(trusting(&authority.pem())?)));
    let mut credentials = told.clone();
    credentials.servers = vec![RelayServer { name: Some("elsewhere".to_owned()), ..by_tls.clone() }];
    let network = open();
    let refused = Allocation::open_trusting(&*network, &credentials, trust()?);
    let refused = in_time("the refusal", refused).await?;
    assert!(matches!(refused, Err(RelayError::Tls(_))), "{refused:?}");
    // Whom browsers trust has not certified it.
    credentials.servers = vec![by_tls];
    let refused = in_time("the refusal", Allocation::open(&*open(), &credentials)).await?;
    assert!(matches!(refused, Err(RelayError::Tls(_))), "{refused:?}");

    let opened = Allocation::open_trusting(&*network, &credentials, trust()?);
    let allocation = in_time("the allocation", opened).await??;
    assert_eq!(allocation.relayed().ip(), tls.ip());
    Ok(())
}
