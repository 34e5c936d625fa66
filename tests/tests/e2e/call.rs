//! Calls: bytes from one client to the other, directly and through the relay.

use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc};

use anyhow::{Context as _, Result};
use switchhook_client::{
    ClientEvent,
    call::{Call, MAX_DATAGRAM, Prepared, Side},
    network::nat::SymmetricNat,
    relay::Allocation,
};
use switchhook_protocol::{
    call::PathKind,
    client::Signal,
    connection_data::{Candidate, CandidateKind, ConnectionData, Filtering, Mapping},
    error::ErrorCode,
    event::Event,
    id::SessionId,
    invitation::{Accepted, Cancel},
    peer::Path,
    relay::{RelayCredentials, RelayRequest, RelayUpdate},
    session::End,
};
use switchhook_tests::{
    host::Host,
    phone::{Net, Phone, open, refusal},
    waiting::{in_time, until},
};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// Two phones and what they prepared.
struct Pair {
    host: Host,
    alice: Phone,
    bob: Phone,
    networks: (Net, Net),
}

/// What each side has prepared and what it was told.
struct Agreed {
    session: SessionId,
    inviter: (Prepared, Accepted),
    callee: (Prepared, Accepted),
}

#[tokio::test]
async fn inv_5_bytes_flow_directly_between_two_open_devices() -> Result<()> {
    let mut pair = Pair::start((open(), open())).await?;

    let (mut caller, mut callee) = pair.call(|_| {}).await?;

    assert_eq!((caller.path(), callee.path()), (Some(PathKind::Direct), Some(PathKind::Direct)));
    exchange(&mut caller, &mut callee).await?;
    pair.host.reports_path("direct").await?;
    // One side's goodbye ends the call for both.
    caller.close().await;
    assert_eq!(in_time("the end", callee.recv()).await?, None);
    Ok(())
}

/// REL-2, REL-4.one-host, NAT-1.mapping, NAT-3
#[tokio::test]
async fn rel_3_bytes_flow_through_the_relay_between_two_symmetric_nats() -> Result<()> {
    let mut pair = Pair::start((nat(), nat())).await?;

    let (mut caller, mut callee) = pair.call(|_| {}).await?;

    assert_eq!((caller.path(), callee.path()), (Some(PathKind::Relay), Some(PathKind::Relay)));
    exchange(&mut caller, &mut callee).await?;
    pair.host.reports_path("relay").await?;
    Ok(())
}

/// INV-5
#[tokio::test]
async fn nat_3_one_symmetric_nat_meets_an_open_device_directly() -> Result<()> {
    let mut pair = Pair::start((nat(), open())).await?;
    let (mut caller, mut callee) = pair.call(|_| {}).await?;
    assert_eq!((caller.path(), callee.path()), (Some(PathKind::Direct), Some(PathKind::Direct)));
    exchange(&mut caller, &mut callee).await
}

/// REL-1.one-host, REL-2
#[tokio::test]
async fn nat_4_a_direct_attempt_that_fails_goes_on_through_the_relay_without_a_second_ring() -> Result<()> {
    let mut pair = Pair::start((nat(), nat())).await?;

    // Both hide what CDX saw and say that they are open: the policy gives the direct path a trial.
    let (mut caller, mut callee) = pair
        .call(|data| {
            data.observed.clear();
            data.claimed.mapping = Mapping::None;
            data.claimed.filtering = Filtering::None;
            let address = (Ipv4Addr::LOCALHOST, 9).into();
            data.claimed.host_candidates =
                vec![Candidate { kind: CandidateKind::Host, address, priority: 1 }];
        })
        .await?;

    assert_eq!((caller.path(), callee.path()), (Some(PathKind::Relay), Some(PathKind::Relay)));
    exchange(&mut caller, &mut callee).await?;
    let requested = pair.host.admin.metric("switchhook_relay_request_total").await?;
    assert!(requested >= Some(1.0), "{requested:?}");
    assert_eq!(pair.host.admin.metric("switchhook_invite_total").await?, Some(1.0));
    let heard = pair.bob.heard().await?;
    let rings = heard.iter().filter(
        |event| matches!(event, ClientEvent::Event(delivered) if matches!(delivered.event, Event::Invite(_))),
    );
    assert_eq!(rings.count(), 0, "one ring, and that was answered");
    Ok(())
}

/// INV-8: Alice's own side is still there, and says no goodbye.
#[tokio::test]
async fn inv_8_a_call_ends_by_itself_when_the_host_says_that_its_session_is_over() -> Result<()> {
    let mut pair = Pair::start((open(), open())).await?;
    let agreed = pair.agree(|_| {}).await?;
    let end = End { ticket: agreed.inviter.1.ticket.clone(), reason: "hung-up".to_owned() };
    let (mut caller, mut callee) = pair.meet(agreed).await?;
    exchange(&mut caller, &mut callee).await?;

    in_time("the end", pair.alice.client.end(&end)).await??;

    assert_eq!(in_time("the end of the call", callee.recv()).await?, None);
    assert_eq!(callee.path(), None);
    Ok(())
}

#[tokio::test]
async fn nat_4_either_side_may_ask_for_the_relay_and_the_other_side_is_told() -> Result<()> {
    let mut pair = Pair::start((open(), open())).await?;
    let Agreed { session, inviter: (_, inviter), callee: (_, callee) } = pair.agree(|_| {}).await?;
    assert!(matches!(inviter.path, Path::Direct { .. }));

    let mut usernames = Vec::new();
    let request = RelayRequest { ticket: callee.ticket };
    let own = in_time("the relay", pair.bob.client.relay_request(&request)).await??.relay;
    usernames.extend([own.username, given(&mut pair.alice, &session).await?]);
    let request = RelayRequest { ticket: inviter.ticket };
    let own = in_time("the relay", pair.alice.client.relay_request(&request)).await??.relay;
    usernames.extend([own.username, given(&mut pair.bob, &session).await?]);

    usernames.sort();
    usernames.dedup();
    assert_eq!(usernames.len(), 4, "credentials are made for one participant, each time anew");
    Ok(())
}

/// REL-4.one-host, NAT-3
#[tokio::test]
async fn each_side_hears_where_the_relay_put_the_other_and_only_after_a_direct_verdict_how_it_saw_it()
-> Result<()> {
    let relayed = "192.0.2.10:49170".parse()?;
    let observed = "198.51.100.9:50001".parse()?;
    for (networks, shown) in [((open(), open()), Some(observed)), ((nat(), nat()), None)] {
        let mut pair = Pair::start(networks).await?;
        let Agreed { inviter: (_, inviter), .. } = pair.agree(|_| {}).await?;
        let update = RelayUpdate { ticket: inviter.ticket, relayed, observed };
        in_time("the host's answer", pair.alice.client.relay_update(&update)).await??;
        let told = pair
            .bob
            .expect_event("the other side's relay", |event| {
                let Event::RelayUpdate(told) = event else { return None };
                Some((told.relayed, told.observed))
            })
            .await?;
        assert_eq!(told, (relayed, shown));
    }
    Ok(())
}

/// REL-2
#[tokio::test]
async fn rel_3_the_relay_lets_in_a_token_with_its_password_and_nothing_else() -> Result<()> {
    let mut pair = Pair::start((nat(), nat())).await?;
    let Agreed { inviter: (_, inviter), callee: (_, callee), .. } = pair.agree(|_| {}).await?;
    let (Path::Relay { relay: hers, .. }, Path::Relay { relay: his, .. }) = (inviter.path, callee.path)
    else {
        panic!("the relay is for both")
    };
    let changed = |change: &dyn Fn(&mut RelayCredentials)| {
        let mut credentials = hers.clone();
        change(&mut credentials);
        credentials
    };
    let elsewhere = Host::start().await?;
    let other_host = changed(&|credentials| {
        credentials.server = elsewhere.addresses().relay;
        credentials.servers.clear();
    });
    for wrong in [
        changed(&|credentials| credentials.password = his.password.clone()),
        changed(&|credentials| credentials.username = his.username.clone()),
        changed(&|credentials| credentials.username = "somebody".to_owned()),
        changed(&|credentials| credentials.password.clear()),
        other_host,
    ] {
        let allocated = in_time("the relay's answer", Allocation::open(&*open(), &wrong)).await?;
        assert!(allocated.is_err(), "{allocated:?}");
    }
    let allocation = in_time("the allocation", Allocation::open(&*open(), &hers)).await??;
    assert_eq!(allocation.relayed().ip(), pair.host.addresses().relay.ip());
    Ok(())
}

#[tokio::test]
async fn rel_3_who_has_left_is_relayed_no_more_and_who_takes_part_is() -> Result<()> {
    let mut pair = Pair::start((nat(), nat())).await?;
    let (first, second) = (pair.agree(|_| {}).await?, pair.agree(|_| {}).await?);
    let mut held = Vec::new();
    for (_, accepted) in [&first.inviter, &first.callee, &second.inviter, &second.callee] {
        let Path::Relay { relay, .. } = &accepted.path else { panic!("the relay is for all") };
        held.push(in_time("the allocation", Allocation::open(&*open(), relay)).await??);
    }

    pair.end(&first).await?;
    pair.relays_for(2.0).await?;
    let Path::Relay { relay: left, .. } = &first.callee.1.path else { panic!("the relay is for all") };
    let again = in_time("the relay's answer", Allocation::open(&*open(), left)).await?;
    assert!(again.is_err(), "by a token that lives for an hour: {again:?}");
    let Path::Relay { relay: stays, .. } = &second.callee.1.path else { panic!("the relay is for all") };
    drop(in_time("another allocation", Allocation::open(&*open(), stays)).await??);
    pair.end(&second).await?;
    pair.relays_for(0.0).await
}

/// Who was rung and not taken gets no relay, nor does anybody before an accept.
#[tokio::test]
async fn rel_2_only_who_takes_part_gets_credentials() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let mut tablet = host.device("tablet", BOB).await?;
    let status = alice.invite(BOB).await?;
    let (at_phone, at_tablet) = (bob.expect_invite().await?, tablet.expect_invite().await?);

    for (phone, ticket) in [(&alice, &status.ticket), (&bob, &at_phone.ticket), (&tablet, &at_tablet.ticket)]
    {
        let request = RelayRequest { ticket: ticket.clone() };
        let answer = in_time("the answer", phone.client.relay_request(&request)).await?;
        assert_eq!(refusal(answer)?, ErrorCode::NotRunning);
    }

    bob.accept(&at_phone).await??;
    let request = RelayRequest { ticket: at_tablet.ticket.clone() };
    let answer = in_time("the answer", tablet.client.relay_request(&request)).await?;
    assert_eq!(refusal(answer)?, ErrorCode::WrongRole);
    Ok(())
}

#[tokio::test]
async fn a_whole_run_moves_every_metric_of_success() -> Result<()> {
    let mut pair = Pair::start((nat(), nat())).await?;
    let mut tablet = pair.host.device("tablet", BOB).await?;
    let (mut caller, mut callee) = pair.call(|_| {}).await?;
    exchange(&mut caller, &mut callee).await?;
    pair.host.reports_path("relay").await?;
    pair.networks = (open(), open());
    let Agreed { callee: (_, answer), .. } = pair.agree(|_| {}).await?;
    let signal = Signal { ticket: answer.ticket.clone(), to: answer.peer.alias, data: "hello".into() };
    in_time("the signal", pair.bob.client.signal(signal)).await??;
    let relay = RelayRequest { ticket: answer.ticket.clone() };
    in_time("the relay", pair.bob.client.relay_request(&relay)).await??;
    let end = End { ticket: answer.ticket, reason: "hung-up".to_owned() };
    in_time("the end", pair.bob.client.end(&end)).await??;
    let status = pair.alice.invite(BOB).await?;
    in_time("the cancel", pair.alice.client.cancel(&Cancel { ticket: status.ticket })).await??;
    tablet.expect_cancel(&status.session).await?;

    // What counts failures alone stays where it was, and what counts e-mail registrations, of which there is none here.
    let at_rest = [
        "switchhook_connection_data_total",
        "switchhook_cdx_streams_refused_total",
        "switchhook_foreign_letters_total",
        "switchhook_lost_participant_total",
        "switchhook_texts_opted_out_total",
        "switchhook_passwords_compared_total",
        "switchhook_register_link_total",
        "switchhook_relay_gave_way_total",
        "switchhook_relay_limited_packets_total",
        "switchhook_relay_moved_total",
        "switchhook_relay_peer_connections_joined_total",
        "switchhook_relay_peer_connections_refused_total",
        "switchhook_relay_refused_peer_packets_total",
        "switchhook_relay_strangers_refused_total",
        "switchhook_relay_streams_refused_total",
    ];
    let moved = [
        r#"switchhook_texts_total{outcome="sent"}"#,
        r#"switchhook_verdict_total{outcome="direct"}"#,
        r#"switchhook_verdict_total{outcome="relay"}"#,
        r#"switchhook_path_total{outcome="relay"}"#,
        r#"switchhook_plugin_decisions_total{slot="registration-method",outcome="answered"}"#,
        r#"switchhook_plugin_decisions_total{slot="invite-router",outcome="answered"}"#,
        r#"switchhook_plugin_decisions_total{slot="nat-policy",outcome="answered"}"#,
    ];
    until("every metric's move", async || {
        let (_, text) = pair.host.admin.public("metrics").await?;
        let counters =
            text.lines().filter_map(|line| line.split_once("_total ").map(|(name, _)| (line, name)));
        let zero = counters.filter(|(line, _)| line.ends_with(" 0")).map(|(_, name)| format!("{name}_total"));
        let zero: BTreeSet<String> = zero.collect();
        let done = moved.iter().all(|name| text.contains(name)) && zero == at_rest.map(str::to_owned).into();
        Ok(done.then_some(()))
    })
    .await
}

impl Pair {
    async fn start(networks: (Net, Net)) -> Result<Self> {
        let host = Host::with(|settings| settings.relay.allow_loopback = true).await?;
        let (alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
        Ok(Self { host, alice, bob, networks })
    }

    /// From invite to accept, without a path; connection data may be changed before it is sent.
    async fn agree(&mut self, change: impl Fn(&mut ConnectionData)) -> Result<Agreed> {
        let hers = self.alice.prepare(&self.networks.0).await?;
        let mut invite = self.alice.invite_of(&hers, &[BOB])?;
        change(&mut invite.connection_data);
        let status = in_time("the invite", self.alice.client.invite(&invite)).await??;
        let rung = self.bob.expect_invite().await?;
        let his = self.bob.prepare(&self.networks.1).await?;
        let mut accept = Phone::accept_of(&his, &rung);
        change(&mut accept.connection_data);
        let answer = in_time("the accept", self.bob.rings.accept(&rung, &accept)).await??;
        let pushed = self.alice.expect_accept(&status.session).await?;
        Ok(Agreed { session: status.session, inviter: (hers, pushed), callee: (his, answer) })
    }

    /// The inviter ends what was agreed.
    async fn end(&self, agreed: &Agreed) -> Result<()> {
        let end = End { ticket: agreed.inviter.1.ticket.clone(), reason: "hung-up".to_owned() };
        in_time("the end", self.alice.client.end(&end)).await??;
        Ok(())
    }

    /// Waits until the relay holds so many allocations.
    async fn relays_for(&self, allocations: f64) -> Result<()> {
        let held = async || self.host.admin.metric("switchhook_relay_allocations").await;
        until("the allocations", async || Ok((held().await? == Some(allocations)).then_some(()))).await
    }

    /// A whole call.
    async fn call(&mut self, change: impl Fn(&mut ConnectionData)) -> Result<(Call, Call)> {
        let agreed = self.agree(change).await?;
        self.meet(agreed).await
    }

    /// Both sides find a path.
    async fn meet(&self, agreed: Agreed) -> Result<(Call, Call)> {
        let Agreed { inviter: (hers, pushed), callee: (his, answer), .. } = agreed;
        let (networks, clients) = (self.networks.clone(), (&self.alice.client, &self.bob.client));
        let caller = Call::start(clients.0, networks.0, hers, Side::Inviter, pushed);
        let callee = Call::start(clients.1, networks.1, his, Side::Callee, answer);
        let (caller, callee) = in_time("the path", async { tokio::join!(caller, callee) }).await?;
        Ok((caller.context("the caller's side")?, callee.context("the callee's side")?))
    }
}

/// Both ways, small and large.
async fn exchange(caller: &mut Call, callee: &mut Call) -> Result<()> {
    for size in [1, 160, MAX_DATAGRAM] {
        let said = vec![7; size];
        caller.send(&said)?;
        assert_eq!(in_time("a datagram", callee.recv()).await?.as_deref(), Some(&*said));
        callee.send(&said)?;
        assert_eq!(in_time("its echo", caller.recv()).await?.as_deref(), Some(&*said));
    }
    Ok(())
}

/// The username of the credentials that came because the other side asked.
async fn given(phone: &mut Phone, session: &SessionId) -> Result<String> {
    phone
        .expect_event("the relay", |event| {
            let Event::RelayResponse(given) = event else { return None };
            (given.session == *session).then(|| given.relay.username.clone())
        })
        .await
}

trait Reports {
    async fn reports_path(&self, path: &str) -> Result<()>;
}

impl Reports for Host {
    /// Both sides tell which path worked.
    async fn reports_path(&self, path: &str) -> Result<()> {
        let name = format!(r#"switchhook_path_total{{outcome="{path}"}}"#);
        until("both reports", async || Ok((self.admin.metric(&name).await? == Some(2.0)).then_some(()))).await
    }
}

fn nat() -> Net {
    Arc::new(SymmetricNat::new(Ipv4Addr::LOCALHOST.into()))
}
