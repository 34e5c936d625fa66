//! The relay as a TURN client of others meets it, with the credentials of a call.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use switchhook_protocol::{
    connection_data::Claims, invitation::Accepted, peer::Path, relay::RelayCredentials,
};
use switchhook_tests::{host::Host, python::Python};

use crate::nat::{connect, nat};

/// REL-3.udp, REL-3.tcp
#[tokio::test]
async fn rel_2_the_credentials_of_a_call_serve_a_client_of_others() -> Result<()> {
    let Some(python) = Python::of("rel_2_the_credentials_of_a_call_serve_a_client_of_others") else {
        return Ok(());
    };
    let host = Host::start().await?;
    let connected = connect(&host, (&nat(), &nat()), (Claims::default(), Claims::default()), true).await?;
    let (inviters, callees) = (relay_of(&connected.inviter)?, relay_of(&connected.callee)?);

    for transport in ["udp", "tcp"] {
        let asked = json!({
            "server": inviters.server,
            "transport": transport,
            "a": credentials(inviters),
            "b": credentials(callees),
        });
        let said = python.run("turn_pair.py", &asked).await?;
        assert_eq!(said["a"], json!({ "from b": said["relayed"][1] }), "{transport}: {said}");
        assert_eq!(said["b"], json!({ "from a": said["relayed"][0] }), "{transport}: {said}");
    }
    Ok(())
}

fn relay_of(accepted: &Accepted) -> Result<&RelayCredentials> {
    match &accepted.path {
        Path::Relay { relay, .. } => Ok(relay),
        Path::Direct { .. } => bail!("not the relay: {:?}", accepted.path),
    }
}

fn credentials(relay: &RelayCredentials) -> Value {
    json!({ "username": relay.username, "password": relay.password })
}
