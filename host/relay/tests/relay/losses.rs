//! Datagrams that do not reach their peer (RFC 8656 §11.6).

use std::net::SocketAddr;

use switchhook_core::stun::{self, Message};
use tokio::{net::UdpSocket, time::timeout};

use crate::{
    by_hand::{ByHand, CREATE_PERMISSION, DATA, PEER, SEND},
    running::{GUARD, Running},
};

const DATA_INDICATION: u16 = 0x0017;
const ICMP: u16 = 0x8004;

#[tokio::test]
async fn rel_3_a_client_is_told_that_nobody_listens_at_its_peers_port() {
    let running = Running::start_with_loopback().await;
    // No test is given one of these ports.
    let closed = SocketAddr::from(([127, 0, 0, 1], 9));
    let open = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut client, _) = ByHand::allocated(&running, "s1", "d1").await;
    let value = client.peer(&closed.to_string());
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Ok(()));

    let value = client.peer(&closed.to_string());
    let request = client.write(SEND, &[(PEER, &value), (DATA, b"knock")], |_| ());
    let told = client.exchange(&request).await;
    let told = Message::parse(&told.0).unwrap();
    assert_eq!(told.message_type(), DATA_INDICATION);
    let peer = stun::read_address(told.attribute(PEER).unwrap(), &told.transaction());
    assert_eq!((peer, told.attribute(DATA)), (Some(closed), None));
    // Destination unreachable: port unreachable.
    assert_eq!(told.attribute(ICMP), Some(&[0, 0, 3 << 1, 3, 0, 0, 0, 0][..]));

    let addr = open.local_addr().unwrap().to_string();
    let value = client.peer(&addr);
    let request = client.write(SEND, &[(PEER, &value), (DATA, b"hello")], |_| ());
    client.send(&request).await;
    assert_eq!(timeout(GUARD, open.recv(&mut [0; 8])).await.expect("data").unwrap(), 5, "goes on");
    running.stop().await;
}
