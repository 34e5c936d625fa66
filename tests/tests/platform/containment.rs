//! Plugins that do not behave, on a running host: the default counts, the tenant sees why, neighbours
//! notice nothing (PLUG-4). What each guest does to the runtime itself is tested there.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchhook_built_guests as guests;
use switchhook_protocol::{error::ErrorCode, registration::RegisterBegin};
use switchhook_tests::{host::Host, phone::refusal, waiting::until};

use crate::{ALICE, BOB, install, routed};

#[tokio::test]
async fn plug_4_a_router_that_fails_rings_every_device_and_its_tenant_sees_why() -> Result<()> {
    let host = Host::start().await?;
    let (alice, _phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let _tablet = host.device("tablet", BOB).await?;
    let sins: [(&[u8], &str); 5] = [
        (guests::RECURSES, "call stack exhausted"),
        (guests::BOMBS_MEMORY, "it ran out of memory"),
        (guests::TRAPS, "it trapped"),
        (guests::RINGS_STRANGERS, "is not in the list"),
        (guests::ASKS_FOR_EVER, "it asked in more rounds than there are"),
    ];
    for (number, (sin, why)) in (1..).zip(sins) {
        let plugin = format!("invite-router/sin-{number}");
        install(&host.admin, &plugin, sin, json!({})).await?;

        let status = alice.invite(BOB).await?;

        assert_eq!(status.devices.len(), 2, "{why}");
        let (_, _, failure) = routed(&host, status.session.as_str()).await?;
        let failure = failure.context("a failure")?;
        assert!(failure.contains(why), "{failure}");
        let line = until("the line", async || {
            let log = host.admin.get(&format!("plugins/{plugin}/logs?wait_ms=1000")).await?;
            Ok(log.pointer("/lines/0/text").and_then(Value::as_str).map(str::to_owned))
        })
        .await?;
        assert_eq!(line, format!("the declared default counts: {failure}"));
    }
    Ok(())
}

#[tokio::test]
async fn plug_4_a_method_that_wants_a_signature_for_somebody_else_ends_with_its_attempt() -> Result<()> {
    let host = Host::start().await?;
    install(&host.admin, "registration-method/strangers", guests::SIGNS_FOR_STRANGERS, json!({})).await?;
    let phone = host.stranger().await?;
    let begin = RegisterBegin { method: "strangers".parse()?, fields: [].into() };

    let code = refusal(phone.client.register_begin(&begin).await)?;

    assert_eq!(code, ErrorCode::RegistrationMismatch);
    assert_eq!(host.stored().await?.get("outbox"), Some(&0), "no text is on its way");
    assert!(phone.registrations().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn plug_4_a_method_that_asks_itself_for_ever_ends_with_its_attempt() -> Result<()> {
    let host = Host::start().await?;
    let plugin = "registration-method/for-ever";
    install(&host.admin, plugin, guests::FETCHES_FOR_EVER, json!("http://127.0.0.1:9/")).await?;
    let phone = host.stranger().await?;

    phone.client.register_begin(&RegisterBegin { method: "for-ever".parse()?, fields: [].into() }).await?;

    let steps = until("the end", async || {
        let decisions = host.admin.get("decisions").await?;
        let steps = decisions.as_array().map_or(0, Vec::len);
        let waiting = host.stored().await?.get("outbox").copied().unwrap_or(0);
        Ok((steps >= 64 && waiting >= 64).then_some(steps))
    })
    .await?;
    assert_eq!(steps, 64);
    assert!(phone.registrations().await?.is_empty());
    Ok(())
}
