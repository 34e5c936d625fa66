//! More connections and more requests than anybody needs: told so, and neighbours are served.
//!
//! Sockets that hold a place are of devices that are known: one that says nothing is closed after ten seconds, and a
//! busy machine may take longer to open the next.

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use switchhook_client::identity::Identity;
use switchhook_protocol::error::ErrorCode;
use switchhook_server::Settings;
use switchhook_tests::{
    host::{Host, tenant},
    raw::{NoSocket, Raw, code_of},
    waiting::until,
};

use crate::stranger;

/// Frames of one flood. A socket may ask 512 at once, and then one in 4 ms: all of these in 14 seconds, and to refuse
/// them takes a small part of that.
const FLOOD: usize = 4_000;

#[tokio::test]
async fn a_flood_on_one_socket_is_told_to_wait_and_neighbours_are_served() -> Result<()> {
    let host = Host::start().await?;
    let (mut flooding, mut neighbour) = (stranger(&host).await?, stranger(&host).await?);
    let before = host.stored().await?;
    let request = json!({ "type": "request", "id": "r", "op": "cancel", "body": { "ticket": "none" } });

    let (answers, served) = tokio::join!(flooding.flood(&request, FLOOD), neighbour.serves());

    assert!(served?, "a neighbour has its answer");
    let answers = answers?;
    let (refused, looked_at): (Vec<&Value>, Vec<&Value>) =
        answers.iter().partition(|answer| code_of(answer) == ErrorCode::RateLimited.word());
    assert!(refused.iter().all(|answer| answer["error"]["retry_after_ms"].as_u64() > Some(0)));
    assert!(!refused.is_empty() && looked_at.len() >= 512, "{} of {}", refused.len(), answers.len());
    assert!(looked_at.iter().all(|answer| code_of(answer) == ErrorCode::BadTicket.word()));
    until("the flood is forgiven", async || Ok(flooding.serves().await?.then_some(()))).await?;
    assert_eq!(host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn an_address_has_so_many_sockets_and_the_next_is_told_so_until_one_is_closed() -> Result<()> {
    let (host, known) = host(2, |settings| settings.http.sockets_of_address = 2).await?;
    let (http, tenant) = (host.addresses().http, tenant("default")?);
    let first = Raw::welcomed(http, &tenant, &known[0]).await?;
    let _second = Raw::welcomed(http, &tenant, &known[1]).await?;

    let refused = Raw::try_connect(http, "default", Some("switchhook.v1.json")).await?;
    assert_eq!(refused.err(), Some(too_many()));

    drop(first);
    until("a free place", async || Ok(Raw::connect(http, "default").await.ok())).await?;
    Ok(())
}

#[tokio::test]
async fn a_tenants_sockets_do_not_take_anothers() -> Result<()> {
    let (host, known) = host(1, |settings| settings.http.sockets_of_tenant = 1).await?;
    host.admin.at("acme").create_tenant().await?;
    let mut held = Raw::welcomed(host.addresses().http, &tenant("default")?, &known[0]).await?;

    let refused = Raw::try_connect(host.addresses().http, "default", Some("switchhook.v1.json")).await?;
    assert_eq!(refused.err(), Some(too_many()));

    Raw::connect(host.addresses().http, "acme").await?.challenge().await?;
    assert!(held.serves().await?);
    Ok(())
}

#[tokio::test]
async fn behind_a_proxy_that_is_named_each_client_counts_and_others_are_not_believed() -> Result<()> {
    let named = |settings: &mut Settings| -> Result<()> {
        settings.http.sockets_of_address = 1;
        settings.http.proxies = vec!["127.0.0.0/8".to_owned().try_into()?];
        Ok(())
    };
    let (proxied, known) = host(2, |settings| named(settings).unwrap_or_default()).await?;
    let _one = held_for(&proxied, "192.0.2.1", &known[0]).await?;
    let _other = held_for(&proxied, "192.0.2.2", &known[1]).await?;
    let http = proxied.addresses().http;
    assert_eq!(Raw::forwarded(http, "default", "198.51.100.7, 192.0.2.1").await?.err(), Some(too_many()));

    // Whoever is no proxy may write what it likes.
    let (open, known) = host(1, |settings| settings.http.sockets_of_address = 1).await?;
    let _one = held_for(&open, "192.0.2.1", &known[0]).await?;
    let http = open.addresses().http;
    assert_eq!(Raw::forwarded(http, "default", "192.0.2.2").await?.err(), Some(too_many()));
    Ok(())
}

/// A host that knows so many devices, none of them connected, on these settings.
async fn host(devices: usize, change: impl FnOnce(&mut Settings)) -> Result<(Host, Vec<Identity>)> {
    let mut host = Host::start().await?;
    let mut known = Vec::new();
    for _ in 0..devices {
        let (_, identity) = host.stranger().await?.leave().await;
        known.push(identity);
    }
    host.stop().await;
    host.start_with(change).await?;
    Ok((host, known))
}

/// A place that a proxy holds for a client at this address.
async fn held_for(host: &Host, client: &str, device: &Identity) -> Result<Raw> {
    let opened = Raw::forwarded(host.addresses().http, "default", client).await?;
    opened.map_err(|no| anyhow!("{no:?}"))?.greeted(&tenant("default")?, device).await
}

fn too_many() -> NoSocket {
    let code = ErrorCode::TooManyConnections;
    NoSocket { status: code.status(), code: code.word().to_owned() }
}
