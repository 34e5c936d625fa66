//! How the client's calls get through between every two kinds of NAT, printed in `docs/NAT.md`.
//!
//! `SWITCHHOOK_WRITE_MATRIX=1` writes the page's table anew.

use std::{collections::BTreeMap, env, fs, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use switchhook_client::call::Call;
use switchhook_core::policy::nat::Guessing;
use switchhook_netlab::{Lab, Matrix, MeetingTable, Nat, Through};
use switchhook_protocol::call::PathKind;
use tokio::task::JoinSet;

use crate::switchboard::{Place, Switchboard, Verdict, runtime};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/NAT.md");

/// Where nothing but HTTPS gets out, this port does.
const RELAY_PORT: u16 = 443;

/// How often each kind calls at a time, each time from a site of its own: most calls wait until their patience is over.
const AT_A_TIME: usize = 3;

/// INV-5, NAT-2, NAT-4
#[test]
fn nat_3_the_client_meets_wherever_the_table_says_so_and_where_guessing_helps() -> Result<()> {
    let test = "nat_3_the_client_meets_wherever_the_table_says_so_and_where_guessing_helps";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    let page = fs::read_to_string(PAGE)?;
    let can_meet: BTreeMap<_, _> = MeetingTable::read(&page)?.pairs().collect();
    let (published, runtime) = (Matrix::read(&page), runtime()?);
    let mut measured = runtime.block_on(measure(&lab))?;
    if let Ok(published) = &published {
        // Patience may be over too soon where so many call at a time on a busy machine.
        let again = published.differences(&measured).into_keys();
        measured.extend(runtime.block_on(measure_alone(&Lab::new()?, again))?);
    }

    let wrong: Vec<String> = measured
        .iter()
        .filter(|(pair, through)| {
            let directly = **through == Through::Direct;
            may_meet(**pair, &can_meet).is_some_and(|expected| expected != directly)
        })
        .map(|((caller, callee), through)| format!("{caller} calls {callee}: measured {through:?}"))
        .collect();
    ensure!(wrong.is_empty(), "not as the rules have it:\n{}", wrong.join("\n"));

    if env::var_os("SWITCHHOOK_WRITE_MATRIX").is_some() {
        let either = |pair| may_meet(pair, &can_meet).is_none();
        let matrix = Matrix::of(&measured, either, published.as_ref().ok());
        return Ok(fs::write(PAGE, matrix.written_into(&page)?)?);
    }
    is_as_published(&published?, &measured)
}

fn is_as_published(published: &Matrix, measured: &BTreeMap<(Nat, Nat), Through>) -> Result<()> {
    let wrong: Vec<String> = published.differences(measured).into_values().collect();
    ensure!(wrong.is_empty(), "not as docs/NAT.md has it:\n{}", wrong.join("\n"));
    let at_random: Vec<_> = published.by_random_ports().collect();
    let lost = at_random.iter().filter(|pair| measured.get(pair) == Some(&Through::Relay)).count();
    // One in fifty is lost: that a quarter is happens less than once in a million runs.
    ensure!(lost * 4 <= at_random.len(), "random ports won nothing for {lost} of {} pairs", at_random.len());
    Ok(())
}

/// Whether a pair meets without guessing; nothing where it may come out either way: both move at once here.
fn may_meet(pair: (Nat, Nat), can_meet: &BTreeMap<(Nat, Nat), bool>) -> Option<bool> {
    let of = |pair| can_meet.get(&pair).copied().unwrap_or_default();
    let (meets, in_turn) = (of(pair), of((pair.1, pair.0)));
    let races = [pair.0, pair.1].contains(&Nat::OpenMasquerade) && [pair.0, pair.1].into_iter().all(gets_out);
    (!races || (meets && in_turn && pair.0 != pair.1)).then_some(meets)
}

fn gets_out(nat: Nat) -> bool {
    nat.behaviour().is_some()
}

/// Every ordered pair of kinds whose call began, each site in one call at a time.
async fn measure(lab: &Lab) -> Result<BTreeMap<(Nat, Nat), Through>> {
    let board = Arc::new(Switchboard::with_relay_at(lab, RELAY_PORT).await?);
    let sites = (0..AT_A_TIME).map(|_| Ok([one_of_each(lab)?, one_of_each(lab)?]));
    let sites: Vec<[Vec<Place>; 2]> = sites.collect::<Result<_>>()?;
    let mut measured = BTreeMap::new();
    let shifts: Vec<usize> = (0..Nat::ALL.len()).collect();
    for shifts in shifts.chunks(AT_A_TIME) {
        let mut calls = JoinSet::new();
        for (shift, [callers, callees]) in shifts.iter().zip(&sites) {
            let others = Nat::ALL.into_iter().zip(callees).cycle().skip(*shift);
            for ((nat, a), (other, b)) in Nat::ALL.into_iter().zip(callers).zip(others) {
                let (pair, places, board) = ((nat, other), [a.clone(), b.clone()], Arc::clone(&board));
                calls.spawn(async move { Some((pair, Box::pin(call(&board, pair, &places)).await.ok()?)) });
            }
        }
        while let Some(called) = calls.join_next().await {
            measured.extend(called?);
        }
    }
    Ok(measured)
}

/// The same of some pairs, one after the other.
async fn measure_alone(
    lab: &Lab,
    pairs: impl Iterator<Item = (Nat, Nat)>,
) -> Result<BTreeMap<(Nat, Nat), Through>> {
    let board = Switchboard::with_relay_at(lab, RELAY_PORT).await?;
    let mut measured = BTreeMap::new();
    for pair in pairs {
        let places = lab.pair(pair.0, pair.1)?.map(|site| Place::Site(Arc::new(site)));
        measured.insert(pair, Box::pin(call(&board, pair, &places)).await?);
    }
    Ok(measured)
}

fn one_of_each(lab: &Lab) -> Result<Vec<Place>> {
    Nat::ALL.into_iter().map(|nat| Ok(Place::Site(Arc::new(lab.site(nat)?)))).collect()
}

/// Calls with ever more guessing, until a direct path is found.
async fn call(board: &Switchboard, pair: (Nat, Nat), places: &[Place; 2]) -> Result<Through> {
    let guessing = |next_ports, birthday| Guessing { next_ports, birthday };
    let tries = [
        (Through::Direct, guessing(false, false)),
        (Through::NextPorts, guessing(true, false)),
        (Through::RandomPorts, guessing(true, true)),
    ];
    // No datagram, no guess.
    let worth = if gets_out(pair.0) && gets_out(pair.1) { tries.len() } else { 1 };
    for (through, guessing) in tries.into_iter().take(worth) {
        let called = Box::pin(board.call_after(Verdict::Direct(guessing), places.clone())).await;
        let mut talk = called.with_context(|| format!("{} calls {}", pair.0, pair.1))?;
        talk.carries().await.with_context(|| format!("{} called {}", pair.0, pair.1))?;
        if talk.calls.each_ref().map(Call::path) == [Some(PathKind::Direct); 2] {
            return Ok(through);
        }
    }
    Ok(Through::Relay)
}
