//! Calls over IPv6, and between those who have it and those who have nothing else.

use std::{net::IpAddr, sync::Arc};

use anyhow::{Result, ensure};
use switchhook_client::call::Call;
use switchhook_core::policy::nat::Guessing;
use switchhook_netlab::{Lab, Nat, Site};
use switchhook_protocol::call::PathKind;

use crate::switchboard::{Place, Switchboard, Talk, Verdict, runtime};

/// NAT-1.mapping
#[test]
fn nat_1_where_both_have_ipv6_no_nat_is_in_the_way() -> Result<()> {
    let test = "nat_1_where_both_have_ipv6_no_nat_is_in_the_way";
    let Some(lab) = Lab::with_ipv6_or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Switchboard::of_both_families(&lab).await?;
        let dual = || lab.dual_site(Nat::Symmetric);
        // Over IPv4 none of these pairs meets.
        for [one, other] in
            [[dual()?, dual()?], [dual()?, lab.ipv6_site()?], [lab.ipv6_site()?, lab.ipv6_site()?]]
        {
            let addrs = [&one, &other].map(|site| site.host().ipv6());
            let mut talk = Box::pin(board.call(places(one, other))).await?;
            talk.carries().await?;
            ensure!(paths(&talk) == [Some(PathKind::Direct); 2], "{addrs:?}: {:?}", paths(&talk));
            let peers = talk.calls.each_ref().map(|call| call.peer_addr().map(|peer| peer.ip()));
            let [one, other] = addrs.map(|addr| addr.map(Into::into));
            ensure!(peers == [other, one], "{peers:?}");
        }
        Ok(())
    })
}

/// REL-2, REL-3.udp
#[test]
fn rel_3_who_has_ipv4_alone_and_who_has_ipv6_alone_meet_at_the_relay() -> Result<()> {
    let test = "rel_3_who_has_ipv4_alone_and_who_has_ipv6_alone_meet_at_the_relay";
    let Some(lab) = Lab::with_ipv6_or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Switchboard::of_both_families(&lab).await?;
        for ipv6_calls in [false, true] {
            let (one, other) = (lab.site(Nat::FullCone)?, lab.ipv6_site()?);
            let places = if ipv6_calls { places(other, one) } else { places(one, other) };
            // A direct path is looked for first: there is none between the families.
            let directly = Verdict::Direct(Guessing::default());
            let mut talk = Box::pin(board.call_after(directly, places)).await?;
            talk.carries().await?;
            ensure!(paths(&talk) == [Some(PathKind::Relay); 2], "{:?}", paths(&talk));
        }
        Ok(())
    })
}

/// REL-2, REL-3.udp
#[test]
fn rel_3_a_relayed_address_of_ipv6_carries_the_call_whatever_families_its_sides_have() -> Result<()> {
    let test = "rel_3_a_relayed_address_of_ipv6_carries_the_call_whatever_families_its_sides_have";
    // The relay has IPv6 alone; it has both.
    for ipv4_beside in [false, true] {
        let Some(lab) = Lab::with_ipv6_or_skip(test)? else { return Ok(()) };
        runtime()?.block_on(async {
            let board = Switchboard::relaying_from_ipv6(&lab, ipv4_beside).await?;
            let other = || if ipv4_beside { lab.site(Nat::Symmetric) } else { lab.ipv6_site() };
            for places in [places(lab.ipv6_site()?, other()?), places(other()?, lab.ipv6_site()?)] {
                let relayed = Verdict::Relay { until_accepted: false };
                let mut talk = Box::pin(board.call_after(relayed, places)).await?;
                talk.carries().await?;
                let peers = talk.calls.each_ref().map(Call::peer_addr);
                let relay = lab.server().ipv6().map(IpAddr::from);
                ensure!(peers.iter().all(|peer| peer.map(|peer| peer.ip()) == relay), "{peers:?}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn places(one: Site, other: Site) -> [Place; 2] {
    [one, other].map(|site| Place::Site(Arc::new(site)))
}

fn paths(talk: &Talk) -> [Option<PathKind>; 2] {
    talk.calls.each_ref().map(Call::path)
}
