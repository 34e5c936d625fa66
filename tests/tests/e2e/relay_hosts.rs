//! Relay hosts in processes of their own: a call through two of them, and their lives.

mod keys;
mod lives;
mod operator;
mod shares;
mod ways;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use switchhook_client::{
    call::{Call, MAX_DATAGRAM, Prepared, Side},
    network::nat::SymmetricNat,
    relay::Allocation,
};
use switchhook_protocol::{
    call::PathKind,
    invitation::Accepted,
    peer::Path,
    relay::{RelayCredentials, RelayRequest, RelayServer, Transport},
    session::End,
};
use switchhook_tests::{
    host::Host,
    phone::{Net, Phone, open},
    port,
    relay_host::RelayHost,
    waiting::in_time,
};

pub(crate) use crate::tls::PROGRAM;

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// The address of the relay host in Europe.
const EU: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Alice in Europe, Bob in America, and a relay host in each. No peer on loopback is allowed: what one host relays
/// the other permits only because it is registered.
struct Stage {
    host: Host,
    eu: RelayHost,
    us: RelayHost,
    alice: Phone,
    bob: Phone,
}

/// What each side has prepared and was told.
struct Agreed {
    inviter: (Prepared, Accepted),
    callee: (Prepared, Accepted),
}

/// REL-1.two-hosts, REL-2, REL-3.udp
#[tokio::test]
async fn rel_4_a_call_goes_through_the_relay_hosts_of_both_sides() -> Result<()> {
    let mut stage = Stage::start().await?;
    let agreed = stage.agree().await?;
    let (hers, his) = (relay_of(&agreed.inviter.1)?, relay_of(&agreed.callee.1)?);
    assert_eq!((hers.server, his.server), (stage.eu.relay, stage.us.relay));

    let (mut caller, mut callee) = stage.meet(agreed).await?;

    assert_eq!((caller.path(), callee.path()), (Some(PathKind::Relay), Some(PathKind::Relay)));
    // Each sends to where the other's host has put the other.
    assert_eq!(caller.peer_addr().map(|addr| addr.ip()), Some(stage.us.relay.ip()));
    assert_eq!(callee.peer_addr().map(|addr| addr.ip()), Some(stage.eu.relay.ip()));
    for size in [1, 160, MAX_DATAGRAM] {
        let said = vec![7; size];
        caller.send(&said)?;
        assert_eq!(in_time("a datagram", callee.recv()).await?.as_deref(), Some(&*said));
        callee.send(&said)?;
        assert_eq!(in_time("its echo", caller.recv()).await?.as_deref(), Some(&*said));
    }
    stage.each_holds(1).await
}

/// REL-1.two-hosts, NAT-4
#[tokio::test]
async fn rel_2_who_asks_for_the_relay_later_gets_its_own_host_too() -> Result<()> {
    let mut stage = Stage::start().await?;
    let Agreed { inviter: (_, inviter), .. } = stage.agree().await?;

    let request = RelayRequest { ticket: inviter.ticket };
    let own = in_time("the relay", stage.alice.client.relay_request(&request)).await??.relay;

    assert_eq!(own.server, stage.eu.relay);
    let given = stage.bob.expect_event("the relay", |event| {
        let switchhook_protocol::event::Event::RelayResponse(given) = event else { return None };
        Some(given.relay.server)
    });
    assert_eq!(given.await?, stage.us.relay);
    Ok(())
}

/// REL-1.two-hosts
#[tokio::test]
async fn rel_3_a_relay_host_refuses_the_token_of_another() -> Result<()> {
    let mut stage = Stage::start().await?;
    let Agreed { inviter: (_, inviter), .. } = stage.agree().await?;
    let hers = relay_of(&inviter)?;
    for elsewhere in [stage.us.relay, stage.host.addresses().relay] {
        let allocated = in_time("the answer", Allocation::open(&*open(), &at(hers, elsewhere))).await?;
        assert!(allocated.is_err(), "{allocated:?}");
    }
    in_time("the allocation", Allocation::open(&*open(), hers)).await??;
    Ok(())
}

/// REL-1.two-hosts, INV-8
#[tokio::test]
async fn rel_3_the_end_of_a_session_drops_its_allocations_on_both_relay_hosts() -> Result<()> {
    let mut stage = Stage::start().await?;
    let Agreed { inviter: (_, inviter), callee: (_, callee) } = stage.agree().await?;
    let _hers = in_time("the allocation", Allocation::open(&*open(), relay_of(&inviter)?)).await??;
    let _his = in_time("the allocation", Allocation::open(&*open(), relay_of(&callee)?)).await??;
    stage.each_holds(1).await?;

    let end = End { ticket: inviter.ticket, reason: "hung-up".to_owned() };
    in_time("the end", stage.alice.client.end(&end)).await??;

    stage.each_holds(0).await
}

impl Stage {
    async fn start() -> Result<Self> {
        let host = Host::start().await?;
        // Where it may come back.
        let at = SocketAddr::new(EU, port::of_nobody(EU)?).to_string();
        let (eu, us) =
            (start(&host, "eu-1", &at, "eu").await?, start(&host, "us-1", "127.0.0.3:0", "us").await?);
        for id in [&eu.id, &us.id] {
            host.admin.relay_host_is(id, &json!({ "state": "alive", "knows_others": true })).await?;
        }
        let (alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
        Ok(Self { host, eu, us, alice, bob })
    }

    /// From invite to accept, without a path.
    async fn agree(&mut self) -> Result<Agreed> {
        agree(&mut self.alice, &mut self.bob).await
    }

    /// Both sides find a path.
    async fn meet(&self, agreed: Agreed) -> Result<(Call, Call)> {
        let Agreed { inviter: (hers, pushed), callee: (his, answer) } = agreed;
        let caller = Call::start(&self.alice.client, nat(), hers, Side::Inviter, pushed);
        let callee = Call::start(&self.bob.client, nat(), his, Side::Callee, answer);
        let (caller, callee) = in_time("the path", async { tokio::join!(caller, callee) }).await?;
        Ok((caller.context("the caller's side")?, callee.context("the callee's side")?))
    }

    /// Waits until each relay host has said that it holds so many allocations.
    async fn each_holds(&self, allocations: u32) -> Result<()> {
        for id in [&self.eu.id, &self.us.id] {
            self.host.admin.relay_host_is(id, &json!({ "held": allocations })).await?;
        }
        Ok(())
    }
}

/// From Alice's invite in Europe to Bob's accept in America, without a path.
async fn agree(alice: &mut Phone, bob: &mut Phone) -> Result<Agreed> {
    let hers = alice.prepare(&nat()).await?;
    let mut invite = alice.invite_of(&hers, &[BOB])?;
    invite.connection_data.claimed.region = Some("eu".to_owned());
    let status = in_time("the invite", alice.client.invite(&invite)).await??;
    let rung = bob.expect_invite().await?;
    let his = bob.prepare(&nat()).await?;
    let mut accept = Phone::accept_of(&his, &rung);
    accept.connection_data.claimed.region = Some("us".to_owned());
    let answer = in_time("the accept", bob.rings.accept(&rung, &accept)).await??;
    let pushed = alice.expect_accept(&status.session).await?;
    Ok(Agreed { inviter: (hers, pushed), callee: (his, answer) })
}

/// A new relay host of this installation.
async fn start(host: &Host, id: &str, listen: &str, region: &str) -> Result<RelayHost> {
    let token = host.admin.add_relay_host(id).await?;
    let options = ["--region", region, "--http-listen", "127.0.0.1:0"];
    RelayHost::start(PROGRAM, (host.addresses().http, &token), listen, options).await
}

fn relay_of(accepted: &Accepted) -> Result<&RelayCredentials> {
    match &accepted.path {
        Path::Relay { relay, .. } => Ok(relay),
        Path::Direct { .. } => bail!("not the relay: {:?}", accepted.path),
    }
}

/// The same credentials, for another relay host.
fn at(credentials: &RelayCredentials, server: SocketAddr) -> RelayCredentials {
    let servers = vec![RelayServer { transport: Transport::Udp, addr: server, name: None }];
    RelayCredentials { server, servers, ..credentials.clone() }
}

fn nat() -> Net {
    Arc::new(SymmetricNat::new(Ipv4Addr::LOCALHOST.into()))
}
