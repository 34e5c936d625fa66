//! coturn's clients, which know nothing of ours.

use std::process::{Output, Stdio};

use switchhook_core::seal::RootKeys;
use tokio::{process::Command, time::timeout};

use crate::{
    running::{GUARD, Running},
    tls,
};

#[tokio::test]
async fn rel_3_coturns_client_relays_by_channels_and_by_indications() {
    relays(&[]).await;
}

/// REL-3.tcp
#[tokio::test]
async fn coturns_client_relays_over_tcp() {
    relays(&["-t"]).await;
}

/// REL-3.tls
#[tokio::test]
async fn coturns_client_relays_over_tls() {
    over_tls(&["-t"]).await;
}

/// REL-3.tls
#[tokio::test]
async fn rel_3_coturns_client_relays_by_connections_over_tls() {
    over_tls(&["-T"]).await;
}

async fn over_tls(transport: &[&str]) {
    let (running, _) = tls::encrypted().await;
    let credentials = running.credentials("s1", "d1");
    let port = running.relay.tls_addr().unwrap().port().to_string();
    let mut command = Command::new("turnutils_uclient");
    command.args(["-y", "-c", "-S", "-n", "10", "-m", "2", "-l", "400", "-p", &port]).args(transport);
    command.args(["-u", &credentials.username, "-w", &credentials.password]);
    let Some(output) =
        run("rel_3_coturns_client_relays_by_channels_and_by_indications", command.arg("127.0.0.1")).await
    else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("tot_send_msgs=20, tot_recv_msgs=20"), "{text}");
    running.stop().await;
}

/// REL-3.tcp: by TCP to the relay and to the other, one connecting to the other's relayed address (RFC 6062).
#[tokio::test]
async fn rel_3_coturns_client_relays_by_connections() {
    relays(&["-T"]).await;
}

/// It opens a socket anew before it refreshes, closes the former one before or after that, and says everything twice.
/// (Over TLS it frees its former connection twice, now and then, and ends.)
#[tokio::test]
async fn rel_3_coturns_client_moves_with_its_ticket() {
    relays(&["-M"]).await;
    relays(&["-M", "-t"]).await;
}

async fn relays(transport: &[&str]) {
    // One name for all of coturn's clients, which also close and open again as they like.
    let roots = RootKeys::new([1; 32], []);
    let running = Running::start_with(roots, |config| {
        config.quota.each_participant = 20;
        config.tcp_allocations = true;
    });
    let running = running.await;
    for (session, method) in [("channels", None), ("indications", Some("-s"))] {
        let credentials = running.credentials(session, "d1");
        let port = running.relay.addr().port().to_string();
        let mut command = Command::new("turnutils_uclient");
        // Two clients of one participant, each sending to the other's allocation, no RTCP beside.
        command.args(["-y", "-c", "-n", "10", "-m", "2", "-l", "400", "-p", &port]);
        command.args(transport).args(["-u", &credentials.username, "-w", &credentials.password]);
        let Some(output) = run(
            "rel_3_coturns_client_relays_by_channels_and_by_indications",
            command.args(method).arg("127.0.0.1"),
        )
        .await
        else {
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("tot_send_msgs=20, tot_recv_msgs=20"), "{text}");
        assert!(text.contains("Total lost packets 0 "), "{text}");
    }
    assert_eq!(running.relay.metrics().refused_peer_packets.get(), 0);
    let metrics = running.relay.metrics();
    let moves = if transport.contains(&"-M") { metrics.allocated.get() } else { 0 };
    assert_eq!(metrics.moved.get(), moves, "each moves once");
    let by_connections = transport.contains(&"-T");
    let metrics = running.counted().await;
    assert_eq!(metrics.peer_connections_joined.get() > 0, by_connections);
    assert_eq!(metrics.to_peer_packets.get() > 0, !by_connections);
}

#[tokio::test]
async fn rel_3_coturns_client_with_a_wrong_password_gets_no_allocation() {
    let running = Running::start().await;
    let credentials = running.credentials("s1", "d1");
    let port = running.relay.addr().port().to_string();
    let mut command = Command::new("turnutils_uclient");
    command.args(["-y", "-c", "-n", "1", "-m", "2", "-p", &port, "-u", &credentials.username, "-w", "guess"]);
    let Some(output) =
        run("rel_3_coturns_client_with_a_wrong_password_gets_no_allocation", command.arg("127.0.0.1")).await
    else {
        return;
    };
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(running.relay.metrics().allocated.get(), 0);
    assert!(running.relay.metrics().refused_with(401) > 0);
    running.stop().await;
}

/// What the client printed; nothing if coturn's tools are not installed.
async fn run(test: &str, command: &mut Command) -> Option<Output> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(GUARD, output).await.expect("the client ends");
    if output.is_err() {
        println!("skipped: {test}: turnutils_uclient is not installed (Debian package coturn)");
    }
    output.ok()
}
