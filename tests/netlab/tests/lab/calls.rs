//! The client's calls through the lab's NATs: in one LAN, and after a change of address.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use switchhook_client::call::Call;
use switchhook_netlab::{Lab, Nat, Site};
use switchhook_protocol::call::PathKind;
use tokio::time::timeout;

use crate::switchboard::{GUARD, Place, Switchboard, Talk, Verdict, runtime};

/// REL-4
#[test]
fn nat_5_a_relayed_call_goes_on_when_the_network_of_one_side_gets_other_addresses() -> Result<()> {
    let test = "nat_5_a_relayed_call_goes_on_when_the_network_of_one_side_gets_other_addresses";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Switchboard::with_immobile_relay(&lab).await?;
        // One after the other: what the former addresses hold at the relay is not over yet.
        for (inviter_moves, changes) in [(true, 3), (false, 1)] {
            let (moves, stays) = (Arc::new(lab.site(Nat::Symmetric)?), Arc::new(lab.site(Nat::Symmetric)?));
            let mut places = [Place::Site(Arc::clone(&moves)), Place::Site(stays)];
            if !inviter_moves {
                places.reverse();
            }
            let relayed = Verdict::Relay { until_accepted: false };
            let mut talk = Box::pin(board.call_after(relayed, places)).await?;
            talk.carries().await?;
            for change in 1..=changes {
                let moved = relayed_elsewhere(&lab, &moves, (&mut talk, usize::from(inviter_moves))).await;
                moved.with_context(|| format!("the inviter moves: {inviter_moves}, change {change}"))?;
            }
        }
        Ok(())
    })
}

/// REL-4
#[test]
fn nat_5_a_side_that_gets_another_address_takes_its_relayed_one_along() -> Result<()> {
    let test = "nat_5_a_side_that_gets_another_address_takes_its_relayed_one_along";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Switchboard::with_relay(&lab).await?;
        let (moves, stays) = (Arc::new(lab.site(Nat::Symmetric)?), Arc::new(lab.site(Nat::Symmetric)?));
        let places = [Place::Site(Arc::clone(&moves)), Place::Site(stays)];
        let relayed = Verdict::Relay { until_accepted: false };
        let mut talk = Box::pin(board.call_after(relayed, places)).await?;
        talk.carries().await?;
        // The side that stays may notice first, and ask for the relay anew before the other has followed.
        for change in 1..=8 {
            let before = talk.calls.each_ref().map(Call::peer_addr);
            tokio::task::block_in_place(|| lab.renumber(&moves))?;
            talk.carries().await.with_context(|| format!("change {change}"))?;
            if talk.calls.each_ref().map(Call::peer_addr) == before {
                return Ok(());
            }
        }
        bail!("each change gave other addresses at the relay")
    })
}

/// The side that stays follows the one that moves, and the call goes on.
async fn relayed_elsewhere(lab: &Lab, moves: &Site, (talk, staying): (&mut Talk, usize)) -> Result<()> {
    let side = talk.calls.get(staying).context("no such side")?;
    let before = side.peer_addr().context("the call is over")?;
    tokio::task::block_in_place(|| lab.renumber(moves))?;
    let elsewhere = |(kind, peer): (_, SocketAddr)| kind == PathKind::Relay && peer != before;
    let follows = side.path_becomes(|path| path.is_none_or(elsewhere));
    timeout(GUARD, follows).await.context("the other side does not follow")?;
    talk.carries().await?;
    ensure!(talk.calls.iter().all(|call| call.path() == Some(PathKind::Relay)), "the call is over");
    Ok(())
}

/// REL-4.one-host
#[test]
fn rel_4_a_relayed_call_goes_on_when_its_relay_host_has_started_again() -> Result<()> {
    let test = "rel_4_a_relayed_call_goes_on_when_its_relay_host_has_started_again";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Switchboard::with_relay(&lab).await?;
        let sites = [Arc::new(lab.site(Nat::Symmetric)?), Arc::new(lab.site(Nat::Symmetric)?)];
        let relayed = Verdict::Relay { until_accepted: false };
        let mut talk = Box::pin(board.call_after(relayed, sites.map(Place::Site))).await?;
        talk.carries().await?;
        let before = talk.calls.each_ref().map(Call::peer_addr);

        board.restart_relay(&lab)?;

        for (call, before) in talk.calls.iter().zip(before) {
            let anew = |(kind, peer)| kind == PathKind::Relay && Some(peer) != before;
            let follows = call.path_becomes(|path| path.is_none_or(anew));
            timeout(GUARD, follows).await.context("it does not ask anew")?;
        }
        talk.carries().await?;
        ensure!(talk.calls.iter().all(|call| call.path() == Some(PathKind::Relay)), "the call is over");
        Ok(())
    })
}

/// NAT-6
#[test]
fn nat_6_two_devices_of_one_lan_meet_inside_it_where_no_nat_would_let_them() -> Result<()> {
    let test = "nat_6_two_devices_of_one_lan_meet_inside_it_where_no_nat_would_let_them";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Switchboard::start(&lab).await?;
        for nat in [Nat::Symmetric, Nat::RandomMasquerade, Nat::PortRestricted] {
            let site = Arc::new(lab.site(nat)?);
            let neighbour = Arc::new(site.neighbour()?);
            let lan: BTreeSet<_> = [site.host().ip(), neighbour.ip()].map(IpAddr::from).into();
            let mut talk = Box::pin(board.call([Place::Site(site), Place::Neighbour(neighbour)])).await?;
            talk.carries().await?;
            let peers = talk.calls.each_ref().map(|call| call.peer_addr().map(|addr| addr.ip()));
            ensure!(peers.iter().flatten().all(|ip| lan.contains(ip)), "{nat}: {peers:?}");
        }
        Ok(())
    })
}

/// NAT-5
#[test]
fn nat_5_a_call_goes_on_when_the_network_of_one_side_gets_another_address() -> Result<()> {
    let test = "nat_5_a_call_goes_on_when_the_network_of_one_side_gets_another_address";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Switchboard::start(&lab).await?;
        for (moving, staying) in
            [(Nat::FullCone, Nat::PortRestricted), (Nat::PortRestricted, Nat::Masquerade)]
        {
            for inviter_moves in [true, false] {
                let (moves, stays) = (Arc::new(lab.site(moving)?), Arc::new(lab.site(staying)?));
                let mut places = [Place::Site(Arc::clone(&moves)), Place::Site(stays)];
                if !inviter_moves {
                    places.reverse();
                }
                let mut talk = Box::pin(board.call(places)).await?;
                talk.carries().await?;
                let moved_to = tokio::task::block_in_place(|| lab.renumber(&moves))?;
                talk.carries().await.with_context(|| format!("{moving} moves, {staying} stays"))?;
                let staying = &talk.calls[usize::from(inviter_moves)];
                let there = |(kind, peer): (_, SocketAddr)| kind == PathKind::Direct && peer.ip() == moved_to;
                let follows = staying.path_becomes(|path| path.is_some_and(there));
                let followed = timeout(GUARD, follows).await;
                followed.with_context(|| format!("{:?}, not {moved_to}", staying.peer_addr()))?;
            }
        }
        Ok(())
    })
}
