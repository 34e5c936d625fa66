//! The relay as TURN clients of others meet it, with the credentials of a call.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use switchhook_protocol::{
    connection_data::Claims, invitation::Accepted, peer::Path, relay::RelayCredentials,
};
use switchhook_server::settings::Tls;
use switchhook_tests::{
    certificates::{Authority, Certified},
    host::Host,
    node::Node,
    port,
    python::Python,
    skipped,
    waiting::in_time,
};
use tokio::{net::UdpSocket, process::Command};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::nat::{connect, nat};

/// REL-3.udp, REL-3.tcp
#[tokio::test]
async fn rel_2_the_credentials_of_a_call_serve_a_client_of_others() -> Result<()> {
    let Some(python) = Python::of("rel_2_the_credentials_of_a_call_serve_a_client_of_others") else {
        return Ok(());
    };
    let call = Box::pin(Call::relayed()).await?;

    for transport in ["udp", "tcp"] {
        let asked = json!({
            "server": call.relay,
            "transport": transport,
            "a": credentials(&call.inviters),
            "b": credentials(&call.callees),
        });
        let said = python.run("turn_pair.py", &asked).await?;
        assert_eq!(said["a"], json!({ "from b": said["relayed"][1] }), "{transport}: {said}");
        assert_eq!(said["b"], json!({ "from a": said["relayed"][0] }), "{transport}: {said}");
    }
    Ok(())
}

/// REL-3.udp, REL-3.tcp, REL-3.tls
#[tokio::test]
async fn rel_2_webrtc_of_chromium_meets_with_the_credentials_of_a_call() -> Result<()> {
    const TEST: &str = "rel_2_webrtc_of_chromium_meets_with_the_credentials_of_a_call";
    if !skipped::has(TEST, "chromium-headless-shell", 100) {
        return Ok(());
    }
    let call = Box::pin(Call::relayed()).await?;

    for (url, protocol) in [
        (format!("turn:{}?transport=udp", call.relay), "udp"),
        (format!("turn:{}?transport=tcp", call.relay), "tcp"),
        (format!("turns:{}?transport=tcp", call.relay_tls), "tls"),
    ] {
        let Some(mut chromium) = Node::start(TEST, "webrtc.cjs")? else { return Ok(()) };
        let servers = [&call.inviters, &call.callees]
            .map(|relay| json!({ "urls": url, "username": relay.username, "credential": relay.password }));
        let asked = json!({ "servers": servers, "count": 100, "certificate": call.certified.certificate });
        let said = chromium.ask(&asked).await?;
        assert_eq!(said["heard"], json!([100, 100]), "{url}: {said}");
        for way in 0..2 {
            let way = &said["ways"][way];
            assert_eq!((&way["candidateType"], &way["relayProtocol"]), (&json!("relay"), &json!(protocol)));
        }
    }
    Ok(())
}

/// REL-3.udp, REL-3.tcp, REL-3.tls
#[tokio::test]
async fn rel_2_coturns_client_relays_with_the_credentials_of_a_call() -> Result<()> {
    let call = Box::pin(Call::relayed()).await?;
    let echo = Echo::start().await?;
    let authority = call.host.folder().join("authority.pem");
    std::fs::write(&authority, call.authority.pem())?;

    let authority = authority.to_str().context("a path of text")?;
    let to_echo = ["-c", "-m", "1", "-e", "127.0.0.1", "-r", &echo.port, "-E", authority];

    for (transport, relay) in
        [(&["-t", "-S"][..], call.relay_tls), (&["-t"][..], call.relay), (&[][..], call.relay)]
    {
        let test = "rel_2_coturns_client_relays_with_the_credentials_of_a_call";
        let said = call.uclient(test, relay, &[&to_echo, transport].concat()).await?;
        let Some(text) = said else { return Ok(()) };
        assert!(text.contains("tot_send_msgs=10, tot_recv_msgs=10"), "{transport:?}: {text}");
    }
    Ok(())
}

/// REL-3.tcp, REL-3.tls: RFC 6062.
#[tokio::test]
async fn rel_2_coturns_client_relays_by_connections_with_the_credentials_of_a_call() -> Result<()> {
    let call = Box::pin(Call::relayed()).await?;
    for (transport, relay) in [(&["-T"][..], call.relay), (&["-T", "-S"][..], call.relay_tls)] {
        let test = "rel_2_coturns_client_relays_by_connections_with_the_credentials_of_a_call";
        let said = call.uclient(test, relay, &[&["-m", "2"], transport].concat()).await?;
        let Some(text) = said else { return Ok(()) };
        assert!(text.contains("tot_send_msgs=20, tot_recv_msgs=20"), "{transport:?}: {text}");
    }
    Ok(())
}

/// A call whose two sides have been told to use the relay, which takes TURN over TLS too.
struct Call {
    host: Host,
    inviters: RelayCredentials,
    callees: RelayCredentials,
    relay: SocketAddr,
    relay_tls: SocketAddr,
    authority: Authority,
    certified: Certified,
}

impl Call {
    async fn relayed() -> Result<Self> {
        let port = port::of_nobody(Ipv4Addr::LOCALHOST.into())?;
        let mut host = Host::with(|settings| {
            settings.relay.allow_loopback = true;
            settings.relay.tcp_allocations = true;
            // On a port of its own its relay is the same one after the next start.
            settings.relay.listen.set_port(port);
            // Its devices do not come back: they have no TLS.
            settings.sessions.lost_after_s = 3_600;
        })
        .await?;
        let claims = (Claims::default(), Claims::default());
        let connected = connect(&host, (&nat(), &nat()), claims, true).await?;
        let [inviters, callees] = [relay_of(&connected.inviter)?, relay_of(&connected.callee)?];

        let authority = Authority::new("the authority")?;
        let certified = authority.server()?;
        let files = certified.write(host.folder(), "server")?;
        host.stop().await;
        host.start_with(|settings| {
            let (certificate, key) = (files.certificate, files.key);
            settings.tls = Some(Tls { certificate, key, client_certificates: false });
            settings.relay.tls_port = Some(0);
        })
        .await?;
        let (relay, relay_tls) = (inviters.server, host.addresses().relay_tls.context("no TURN over TLS")?);
        Ok(Self { host, inviters, callees, relay, relay_tls, authority, certified })
    }

    /// What coturn's client says of ten messages over this port of the relay, with the inviter's credentials; nothing, and
    /// why, where it is not installed.
    async fn uclient(&self, test: &str, relay: SocketAddr, arguments: &[&str]) -> Result<Option<String>> {
        let mut command = Command::new("turnutils_uclient");
        command.args(arguments).args(["-n", "10", "-l", "400", "-p", &relay.port().to_string()]);
        command.args(["-u", &self.inviters.username, "-w", &self.inviters.password, "127.0.0.1"]);
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let Ok(output) = in_time("coturn's client", output).await? else {
            skipped::say(test, "turnutils_uclient is not installed (Debian package coturn)");
            return Ok(None);
        };
        Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}

/// A peer that sends back what comes.
struct Echo {
    port: String,
    _echoing: AbortOnDropHandle<()>,
}

impl Echo {
    async fn start() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let port = socket.local_addr()?.port().to_string();
        let echoing = TaskTracker::new().spawn(async move {
            let mut datagram = vec![0; 2_048];
            while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
                socket.send_to(&datagram[..length], from).await.ok();
            }
        });
        Ok(Self { port, _echoing: AbortOnDropHandle::new(echoing) })
    }
}

fn relay_of(accepted: &Accepted) -> Result<RelayCredentials> {
    match &accepted.path {
        Path::Relay { relay, .. } => Ok(relay.clone()),
        Path::Direct { .. } => bail!("not the relay: {:?}", accepted.path),
    }
}

fn credentials(relay: &RelayCredentials) -> Value {
    json!({ "username": relay.username, "password": relay.password })
}
