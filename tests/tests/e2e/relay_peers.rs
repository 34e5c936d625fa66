//! Whom the operator lets the relay reach.

use std::{
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use switchhook_client::{
    network::{DatagramSocket as _, recv_from},
    relay::Allocation,
};
use switchhook_protocol::{connection_data::Claims, peer::Path};
use switchhook_server::settings::Relay;
use switchhook_tests::{
    host::Host,
    phone::open,
    waiting::{in_time, until},
};
use tokio::{net::UdpSocket, time::timeout};

use crate::nat::{connect, nat};

/// Then a datagram counts as lost.
const RESEND: Duration = Duration::from_millis(200);

const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);

/// REL-4.one-host
#[tokio::test]
async fn rel_4_what_the_operator_allows_is_reached_though_it_is_inside_and_refused_too() -> Result<()> {
    let allowed = Relayed::start(|relay| {
        relay.allow = vec!["127.0.0.4".parse()?];
        relay.refuse = vec!["127.0.0.0/8".parse()?];
        Ok(())
    });
    let relayed = allowed.await?;
    relayed.reaches(ONE).await?;
    relayed.is_refused(OTHER).await
}

/// REL-4.one-host
#[tokio::test]
async fn rel_4_what_the_operator_refuses_is_not_reached_though_all_around_it_is() -> Result<()> {
    let refused = Relayed::start(|relay| {
        relay.allow_loopback = true;
        relay.refuse = vec!["127.0.0.5".parse()?];
        Ok(())
    });
    let relayed = refused.await?;
    relayed.reaches(ONE).await?;
    relayed.is_refused(OTHER).await
}

/// REL-4.one-host
#[tokio::test]
async fn rel_4_without_a_word_of_the_operator_nothing_inside_is_reached() -> Result<()> {
    let relayed = Relayed::start(|_| Ok(())).await?;
    relayed.is_refused(ONE).await
}

/// A participant of a call with an address at the relay.
struct Relayed {
    host: Host,
    allocation: Allocation,
}

impl Relayed {
    async fn start(change: impl FnOnce(&mut Relay) -> Result<()>) -> Result<Self> {
        let mut changed = Ok(());
        let host = Box::pin(Host::with(|settings| changed = change(&mut settings.relay))).await?;
        changed?;
        let claims = (Claims::default(), Claims::default());
        let call = Box::pin(connect(&host, (&nat(), &nat()), claims, true)).await?;
        let Path::Relay { relay, .. } = &call.inviter.path else {
            bail!("not the relay: {:?}", call.inviter.path)
        };
        let allocation = in_time("the allocation", Allocation::open(&*open(), relay)).await??;
        Ok(Self { host, allocation })
    }

    /// Sends there until it comes, and back: a datagram may be lost.
    async fn reaches(&self, ip: Ipv4Addr) -> Result<()> {
        let peer = UdpSocket::bind((ip, 0)).await?;
        let (mut there, mut back) = ([0; 8], [0; 8]);
        let (length, from) = {
            // An allocation goes on while somebody receives from it.
            let mut answer = pin!(recv_from(&self.allocation, &mut back));
            let arrival = until("a datagram", async || {
                self.allocation.send_to(b"there", peer.local_addr()?)?;
                let received = timeout(RESEND, peer.recv_from(&mut there)).await;
                Ok(received.ok().transpose()?.map(|(_, from)| from))
            });
            let from = tokio::select! {
                early = &mut answer => bail!("an answer to nothing: {early:?}"),
                from = arrival => from?,
            };
            assert_eq!((from, &there[..5]), (self.allocation.relayed(), &b"there"[..]));
            peer.send_to(b"back", from).await?;
            in_time("the answer", answer).await??
        };
        assert_eq!((&back[..length], from), (&b"back"[..], peer.local_addr()?));
        Ok(())
    }

    /// The relay refuses to let the participant reach it.
    async fn is_refused(&self, ip: Ipv4Addr) -> Result<()> {
        let refusals = async || {
            let counted = "switchhook_relay_refused_requests_total{reason=\"forbidden-peer\"}";
            Ok::<_, anyhow::Error>(self.host.admin.metric(counted).await?.unwrap_or_default())
        };
        let before = refusals().await?;
        self.allocation.send_to(b"there", SocketAddr::from((ip, 9)))?;
        until("the refusal", async || Ok((refusals().await? > before).then_some(()))).await.context("refused")
    }
}
