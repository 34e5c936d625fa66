//! What guessing wins where no address that was told leads through, and what it costs.

use std::{process::Command, sync::Arc};

use anyhow::{Result, ensure};
use switchhook_core::policy::nat::Guessing;
use switchhook_netlab::{Lab, Nat, Site};
use switchhook_protocol::call::PathKind;
use tokio::task::JoinSet;

use crate::switchboard::{Place, Switchboard, Verdict, runtime};

const NOTHING: Guessing = Guessing { next_ports: false, birthday: false };
const NEXT_PORTS: Guessing = Guessing { next_ports: true, birthday: false };
const BIRTHDAY: Guessing = Guessing { next_ports: true, birthday: true };

/// Sixteen calls of which one in fifty fails: that more than four do happens once in forty million runs.
const CALLS: usize = 16;
const AT_LEAST: usize = 12;

/// More than the budget: checks, CDX and their answers on top of it.
const PACKETS: u64 = 2_500;

#[test]
fn nat_3_many_sockets_against_many_ports_win_against_random_ports_from_either_side() -> Result<()> {
    let test = "nat_3_many_sockets_against_many_ports_win_against_random_ports_from_either_side";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Arc::new(Switchboard::start(&lab).await?);
        for pair in [
            [Nat::Symmetric, Nat::PortRestricted],
            [Nat::Masquerade, Nat::Symmetric],
            [Nat::PortRestricted, Nat::RandomMasquerade],
        ] {
            let Won { met, packets } = calls(&lab, &board, pair, BIRTHDAY, CALLS).await?;
            report(pair, "birthday", met, CALLS, packets);
            ensure!(met >= AT_LEAST, "{pair:?}: {met} of {CALLS}");
            ensure!(packets <= PACKETS, "{pair:?}: {packets} packets of one side");
        }
        Ok(())
    })
}

#[test]
fn nat_3_what_the_policy_does_not_let_clients_guess_they_do_not() -> Result<()> {
    let test = "nat_3_what_the_policy_does_not_let_clients_guess_they_do_not";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Arc::new(Switchboard::start(&lab).await?);
        let sequential = [Nat::SymmetricSequential, Nat::PortRestricted];
        for (pair, guessing, expected) in [
            (sequential, NOTHING, 0),
            (sequential, NEXT_PORTS, 2),
            ([Nat::Symmetric, Nat::PortRestricted], NEXT_PORTS, 0),
        ] {
            let Won { met, packets } = calls(&lab, &board, pair, guessing, 2).await?;
            report(pair, "next ports", met, 2, packets);
            ensure!(met == expected, "{pair:?} {guessing:?}: {met}");
            ensure!(packets < 200, "{pair:?} {guessing:?}: {packets} packets of one side");
        }
        Ok(())
    })
}

/// How many calls found a direct path, and what the side that sent most has sent in one of them.
struct Won {
    met: usize,
    packets: u64,
}

async fn calls(
    lab: &Lab,
    board: &Arc<Switchboard>,
    [one, other]: [Nat; 2],
    guessing: Guessing,
    count: usize,
) -> Result<Won> {
    let mut won = Won { met: 0, packets: 0 };
    let mut left = count;
    while left > 0 {
        // Some at a time: the lab's translators are programs.
        let mut calling = JoinSet::new();
        for _ in 0..left.min(4) {
            let sites = [Arc::new(lab.site(one)?), Arc::new(lab.site(other)?)];
            let board = Arc::clone(board);
            calling.spawn(async move {
                let places = sites.each_ref().map(|site| Place::Site(Arc::clone(site)));
                let talk = Box::pin(board.call_after(Verdict::Direct(guessing), places)).await;
                let met = talk
                    .is_ok_and(|talk| talk.calls.iter().all(|call| call.path() == Some(PathKind::Direct)));
                let sent = sites.each_ref().map(|site| sent(site));
                (met, sent.into_iter().flatten().max().unwrap_or_default())
            });
        }
        left -= left.min(4);
        while let Some(called) = calling.join_next().await {
            let (met, packets) = called?;
            won.met += usize::from(met);
            won.packets = won.packets.max(packets);
        }
    }
    Ok(won)
}

/// Packets that a site's host has sent.
fn sent(site: &Site) -> Option<u64> {
    let mut counted = Command::new("sh");
    counted.args(["-c", "ip -s link show dev wan | awk '/TX:/ { getline; print $2 }'"]);
    site.host().run(&mut counted).ok()?.trim().parse().ok()
}

#[expect(clippy::print_stdout, reason = "figures of docs/NAT.md")]
fn report([one, other]: [Nat; 2], way: &str, met: usize, calls: usize, packets: u64) {
    println!("{way}: {one} × {other}: {met} of {calls}, at most {packets} packets of one side");
}
