//! Connections end with what they came from, on every path.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::{
    by_hand::{CREATE_PERMISSION, LIFETIME, REFRESH, TCP},
    by_stream::{Stream, pass},
    connections::{ended, pair, with_peers_beside},
    running::Running,
};

/// REL-3.tcp
#[tokio::test]
async fn rel_3_the_end_of_a_session_ends_its_connections() {
    let held = Held::new().await;
    let participants = held.running.relay.participants();
    held.running.relay.send_away(&participants[0]).await;
    held.are_ended().await;
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_an_allocation_that_is_given_up_ends_its_connections() {
    let mut held = Held::new().await;
    let given_up = held.client.ask(REFRESH, &[(LIFETIME, &[0; 4])]).await;
    assert_eq!(given_up.outcome(), Ok(()));
    held.are_ended().await;
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_an_allocation_that_expires_ends_its_connections() {
    let held = Held::new().await;
    pass(Duration::from_secs(601)).await;
    held.are_ended().await;
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_the_end_of_a_control_connection_ends_its_connections() {
    let mut held = Held::new().await;
    held.client.tcp = TcpStream::connect(held.running.relay.addr()).await.unwrap();
    held.are_ended().await;
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_a_relay_that_ends_closes_its_connections() {
    let mut held = Held::new().await;
    held.running.counted().await;
    for stream in &mut held.streams {
        ended(stream).await;
    }
    assert_eq!(held.running.relay.metrics().peer_connections.get(), 0);
}

/// A connection that is joined, and one that waits.
struct Held {
    running: Running,
    client: Stream,
    /// Of the first both sides, of the other the peer's.
    streams: [TcpStream; 3],
}

impl Held {
    async fn new() -> Self {
        let running = with_peers_beside().await;
        let (mut client, relayed) = Stream::allocated_by(&running, "d1", TCP).await;
        let (near, far) = pair(&running, &mut client).await;
        let permitted = client.ask_about(CREATE_PERMISSION, "127.0.0.1:9".parse().unwrap()).await;
        assert_eq!(permitted.outcome(), Ok(()));
        let waits = TcpStream::connect(relayed).await.unwrap();
        client.read().await;
        assert_eq!(running.relay.metrics().peer_connections.get(), 2);
        Self { running, client, streams: [near, far, waits] }
    }

    async fn are_ended(mut self) {
        for stream in &mut self.streams {
            ended(stream).await;
        }
        let metrics = self.running.relay.metrics();
        while metrics.peer_connections.get() > 0 || metrics.allocations.get() > 0 {
            tokio::task::yield_now().await;
        }
        self.running.stop().await;
    }
}
