//! Servers of a cluster die and freeze; who was connected to them goes to another one.

use std::net::Ipv4Addr;

use bytes::Bytes;
use switchhook_bus::{Bus, ConnectError, Subscription};
use switchhook_programs::nats::Cluster;
use tokio::net::TcpSocket;

use super::promises::{cluster, in_time, meet, subject};

#[tokio::test]
async fn what_was_subscribed_is_heard_again_after_the_server_was_killed() {
    let Some(mut cluster) = cluster("what_was_subscribed_is_heard_again_after_the_server_was_killed") else {
        return;
    };
    let (here, there, mut heard) = two_ends(&cluster).await;

    cluster.kill(1);

    reaches(&here, &there, &mut heard).await;
}

#[tokio::test]
async fn what_was_subscribed_is_heard_again_after_the_server_froze() {
    let Some(cluster) = cluster("what_was_subscribed_is_heard_again_after_the_server_froze") else { return };
    let (here, there, mut heard) = two_ends(&cluster).await;

    cluster.server(1).freeze();

    reaches(&here, &there, &mut heard).await;
}

#[tokio::test]
async fn who_publishes_while_the_bus_is_away_is_not_held_up() {
    let Some(mut cluster) = cluster("who_publishes_while_the_bus_is_away_is_not_held_up") else { return };
    let here = Bus::connect(&cluster.url()).await.unwrap();
    for _ in 0..3 {
        cluster.kill(0);
    }
    let publishing = async {
        for _ in 0..100_000 {
            here.publish(&subject("device.a"), Bytes::from_static(b"a hint"));
        }
        here.subscribe(&subject("device.a")).await
    };
    drop(in_time(publishing).await);
    in_time(async {
        while here.is_up() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_subscribes_while_the_bus_is_away_is_not_held_up_and_hears_when_it_is_back() {
    let Some(cluster) =
        cluster("who_subscribes_while_the_bus_is_away_is_not_held_up_and_hears_when_it_is_back")
    else {
        return;
    };
    let here = Bus::connect(&cluster.url()).await.unwrap();
    for at in 0..3 {
        cluster.server(at).freeze();
    }
    // More than the client takes in by itself.
    let (taken, hint) = (4 * 2_048, Bytes::from_static(b"a hint"));
    for _ in 0..taken {
        here.publish(&subject("device.b"), hint.clone());
        tokio::task::yield_now().await;
    }
    let mut heard = in_time(here.subscribe(&subject("device.a"))).await;

    for at in 0..3 {
        cluster.server(at).thaw();
    }
    // What was subscribed to before is known when the bus carries what is subscribed to now.
    let said = async {
        meet(&here, &here).await;
        here.publish(&subject("device.a"), hint);
    };
    let (message, ()) = in_time(async { tokio::join!(heard.next(), said) }).await;
    assert_eq!(message.payload, "a hint");
}

#[tokio::test]
async fn a_bus_that_is_not_there_is_away_and_what_is_no_address_is_refused() {
    // Bound, so that nobody else takes it, and not listened on.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let nobody = deaf.local_addr().unwrap();
    let away = in_time(Bus::connect(&format!("nats://{nobody}"))).await.unwrap();
    assert!(!away.is_up());
    let wrong = in_time(Bus::connect("nats://no port: at all")).await;
    assert!(matches!(wrong, Err(ConnectError::Address(_))), "{wrong:?}");
}

/// One end at the first server, the other at the second, which hears what is said on `device.a`.
async fn two_ends(cluster: &Cluster) -> (Bus, Bus, Subscription) {
    let here = Bus::connect(&cluster.server(0).url()).await.unwrap();
    // It learns of the others from the one.
    let there = Bus::connect(&cluster.server(1).url()).await.unwrap();
    let mut heard = there.subscribe(&subject("device.a")).await;
    meet(&here, &there).await;
    here.publish(&subject("device.a"), Bytes::from_static(b"before"));
    assert_eq!(in_time(heard.next()).await.payload, "before");
    (here, there, heard)
}

async fn reaches(here: &Bus, there: &Bus, heard: &mut Subscription) {
    meet(here, there).await;
    here.publish(&subject("device.a"), Bytes::from_static(b"after"));
    assert_eq!(in_time(heard.next()).await.payload, "after");
}
