//! Connections that the server ends: of who says nothing, of who is silent, of who does not read.
//!
//! Server and test are one process by one clock, which a test moves on.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use switchhook_protocol::close::CloseCode;
use switchhook_tests::{host::Host, raw::Raw, waiting::until};
use tokio::time;

/// Longer than a stranger has for `hello`, and than anybody may be silent.
const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_socket_that_never_says_hello_is_closed_with_4408() -> Result<()> {
    let host = Host::start().await?;
    let mut raw = Raw::connect(host.addresses().http, "default").await?;
    raw.challenge().await?;

    passes(LONG).await;

    assert_eq!(raw.close_code().await?, CloseCode::HelloTimeout.row().code);
    Ok(())
}

#[tokio::test]
async fn a_device_that_is_silent_for_too_long_is_closed_with_4410_and_may_come_back() -> Result<()> {
    let host = Host::start().await?;
    let (settings, identity) = host.stranger().await?.leave().await;
    let mut raw = Raw::welcomed(host.addresses().http, &settings.tenant, &identity).await?;
    assert!(raw.serves().await?);

    passes(LONG).await;

    assert_eq!(raw.close_code().await?, CloseCode::Silent.row().code);
    let mut again = Raw::welcomed(host.addresses().http, &settings.tenant, &identity).await?;
    assert!(again.serves().await?);
    Ok(())
}

/// It asks on and on and reads no answer, until the server cannot write; its neighbour is served meanwhile.
#[tokio::test]
async fn a_device_that_does_not_read_is_closed_with_4429_and_holds_up_nobody_else() -> Result<()> {
    let host = Host::start().await?;
    let (neighbour, device) = (host.stranger().await?, host.stranger().await?);
    let (settings, identity) = device.leave().await;
    let mut raw = Raw::welcomed(host.addresses().http, &settings.tenant, &identity).await?;
    // The answer repeats the id, whatever is answered.
    let asked = json!({ "type": "request", "id": "r".repeat(64), "op": "sync", "body": {} }).to_string();

    tokio::select! {
        broken = raw.pour(&asked) => broken?,
        given_up = until("the end of its patience", async || {
            assert!(neighbour.client.sync().await.is_ok());
            Ok((host.admin.metric("switchhook_connected").await? == Some(1.0)).then_some(()))
        }) => given_up?,
    }

    assert_eq!(raw.close_code().await?, CloseCode::SlowReader.row().code);
    Ok(())
}

/// So much time passes at once, for all of this process.
async fn passes(time: Duration) {
    time::pause();
    time::advance(time).await;
    time::resume();
}
