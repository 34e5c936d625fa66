//! How soon after an accept the other side is heard, in round trips of the lab's line.
//!
//! The clock begins when both sides have been told of the accept: the host and its connections are beside the lab, and the
//! accept itself takes whatever the way to the host and back takes. It ends for each side when the first datagram of the
//! other side's application is there, which that one sends as soon as it may.

use std::{
    net::UdpSocket,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use switchhook_client::call::Call;
use switchhook_core::policy::nat::Guessing;
use switchhook_netlab::{Lab, Nat};
use tokio::time::timeout;

use crate::switchboard::{Beginning, GUARD, Place, Switchboard, Verdict, runtime};

/// One way, from any site to any other: a country's width.
const DISTANCE: Duration = Duration::from_millis(20);

/// Calls of each pair, one after the other.
const CALLS: usize = 9;

/// Pairs that meet, each in another way: at the reported address, and at one that was only heard from.
const PAIRS: [[Nat; 2]; 4] = [
    [Nat::PortRestricted, Nat::PortRestricted],
    [Nat::Masquerade, Nat::FullCone],
    [Nat::Symmetric, Nat::RestrictedCone],
    [Nat::FullCone, Nat::Symmetric],
];

/// NAT-3
#[test]
fn nat_3_over_a_long_line_both_sides_hear_each_other_and_the_rounds_that_takes_are_told() -> Result<()> {
    let test = "nat_3_over_a_long_line_both_sides_hear_each_other_and_the_rounds_that_takes_are_told";
    let Some(mut lab) = Lab::or_skip(test)? else { return Ok(()) };
    lab.set_distance(DISTANCE)?;
    let mut all = Vec::new();
    for pair in PAIRS {
        let round_trip = round_trip(&lab, pair)?;
        // Nothing comes sooner than light: the line is as long as it was made.
        ensure!(round_trip >= DISTANCE * 2, "{round_trip:?}");
        let heard = runtime()?.block_on(first_bytes(&lab, pair))?;
        let rounds: Vec<[f64; 2]> = heard
            .iter()
            .map(|[inviter, callee]| [inviter, callee].map(|took| took.div_duration_f64(round_trip)))
            .collect();
        let [one, other] = pair;
        report(&format!("{one} calls {other}"), &rounds, round_trip);
        all.extend(rounds);
    }
    report("all", &all, DISTANCE * 2);
    Ok(())
}

/// How long each side waited for the other's first datagram, the inviter first.
async fn first_bytes(lab: &Lab, pair: [Nat; 2]) -> Result<Vec<[Duration; 2]>> {
    let board = Switchboard::start(lab).await?;
    let mut heard = Vec::new();
    for _ in 0..CALLS {
        let [one, other] = pair.map(|nat| lab.site(nat).map(|site| Place::Site(Arc::new(site))));
        let told = Box::pin(board.accept(Verdict::Direct(Guessing::default()), [one?, other?])).await?;
        let begun = now();
        let [one, other] = told.sides.map(|side| Box::pin(hear(side, begun)));
        let both = timeout(GUARD, async { tokio::join!(one, other) });
        // Each call lasts until both have heard the other.
        let (one, other) = Box::pin(both).await?;
        drop((told.clients, told.serving));
        heard.push([one?.1, other?.1]);
    }
    Ok(heard)
}

/// One side says its first word as soon as it may, and waits for the other's.
async fn hear(side: Beginning, begun: Instant) -> Result<(Call, Duration)> {
    let mut call = side.begin().await?;
    call.send(b"first")?;
    call.recv().await.context("the call is over")?;
    let heard = begun.elapsed();
    Ok((call, heard))
}

/// There and back between two sites like these, as the lab's line and its translators make it: the shortest of some.
fn round_trip(lab: &Lab, pair: [Nat; 2]) -> Result<Duration> {
    let [near, _] = pair;
    let (site, server) = (lab.site(near)?, lab.server().bind(0)?);
    let asking = site.host().bind(0)?;
    let guard = Some(Duration::from_secs(20));
    asking.set_read_timeout(guard)?;
    server.set_read_timeout(guard)?;
    let trips = (0..5).map(|_| ping(&asking, &server)).collect::<Result<Vec<_>>>()?;
    trips.into_iter().min().context("no ping")
}

fn ping(asking: &UdpSocket, server: &UdpSocket) -> Result<Duration> {
    let (begun, mut buffer) = (now(), [0; 8]);
    asking.send_to(b"ping", server.local_addr()?)?;
    let (_, from) = server.recv_from(&mut buffer)?;
    server.send_to(b"pong", from)?;
    asking.recv_from(&mut buffer)?;
    Ok(begun.elapsed())
}

#[expect(clippy::print_stdout, reason = "figures of docs/PERFORMANCE.md")]
fn report(pair: &str, rounds: &[[f64; 2]], round_trip: Duration) {
    let first = median(rounds.iter().map(|[inviter, callee]| inviter.min(*callee)));
    let inviter = median(rounds.iter().map(|[inviter, _]| *inviter));
    let callee = median(rounds.iter().map(|[_, callee]| *callee));
    let calls = rounds.len();
    println!(
        "first byte: {pair}: {calls} calls, round trip {round_trip:?}: median {first:.2} round trips; the inviter hears after {inviter:.2}, the callee after {callee:.2}"
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
fn now() -> Instant {
    Instant::now()
}
