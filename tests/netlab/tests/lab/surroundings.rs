//! What the client finds out about the NAT before it, and how it keeps a path by that.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use switchhook_client::{
    call::{Call, Prepared},
    nat::{Filtering, Mapping, NatKind, Surroundings},
};
use switchhook_core::policy::nat::Fact;
use switchhook_netlab::{
    Filtering as LabFiltering, Gateway, Lab, Mapping as LabMapping, Nat, Site, translator::InUse,
};
use switchhook_protocol::{call::PathKind, connection_data::Filtering as Claimed};
use tokio::{task::JoinSet, time::timeout};

use crate::switchboard::{GUARD, Place, Switchboard, Visitor, runtime};

/// NAT-1.client
#[test]
fn nat_1_the_client_finds_out_of_every_kind_what_it_is() -> Result<()> {
    let Some(lab) = Lab::or_skip("nat_1_the_client_finds_out_of_every_kind_what_it_is")? else {
        return Ok(());
    };
    runtime()?.block_on(async {
        let board = Arc::new(Switchboard::with_two_addresses(&lab).await?);
        for (nat, found) in looked_at(&lab, &board).await? {
            let told = (found.nat.mapping, found.nat.filtering, found.nat.kind());
            ensure!(told == expected(nat), "{nat}: {found:?}");
        }
        Ok(())
    })
}

/// NAT-1.client
#[test]
fn nat_1_with_one_address_of_cdx_the_client_says_what_could_not_be_told() -> Result<()> {
    let test = "nat_1_with_one_address_of_cdx_the_client_says_what_could_not_be_told";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Arc::new(Switchboard::start(&lab).await?);
        for (nat, found) in looked_at(&lab, &board).await? {
            let (mapping, filtering, _) = expected(nat);
            let cone = matches!(mapping, Mapping::EndpointIndependent | Mapping::AddressDependent);
            let mapping = if cone { Mapping::PortIndependent } else { mapping };
            let open = matches!(filtering, Filtering::EndpointIndependent | Filtering::AddressDependent);
            let filtering = if open { Filtering::PortIndependent } else { filtering };
            ensure!((found.nat.mapping, found.nat.filtering) == (mapping, filtering), "{nat}: {found:?}");
        }
        Ok(())
    })
}

/// NAT-1.client
#[test]
fn nat_1_what_the_client_has_found_out_reaches_the_nat_policy_as_a_claim() -> Result<()> {
    let test = "nat_1_what_the_client_has_found_out_reaches_the_nat_policy_as_a_claim";
    let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
    runtime()?.block_on(async {
        let board = Switchboard::start(&lab).await?;
        let visitor = board.visitor(Place::Site(Arc::new(lab.site(Nat::PortRestricted)?))).await?;
        surveyed(&visitor, |_| true).await?;
        let prepared = Prepared::new(&visitor.client, &*visitor.network).await?;
        let party = board.party(prepared.connection_data())?;
        ensure!(party.filtering == Fact::claimed(Claimed::AddressAndPortDependent), "{party:?}");
        Ok(())
    })
}

/// NAT-5
#[test]
fn nat_5_an_idle_call_keeps_a_mapping_by_its_measured_life() -> Result<()> {
    let Some(lab) = Lab::or_skip("nat_5_an_idle_call_keeps_a_mapping_by_its_measured_life")? else {
        return Ok(());
    };
    runtime()?.block_on(async {
        let board = Switchboard::start(&lab).await?;
        tokio::try_join!(Box::pin(over_a_hasty_gateway(&lab, &board)), over_a_patient_gateway(&lab, &board))?;
        Ok(())
    })
}

async fn over_a_hasty_gateway(lab: &Lab, board: &Switchboard) -> Result<()> {
    let site = Arc::new(lab.site(Nat::PortRestricted)?);
    let gateway = site.innermost().context("no gateway")?;
    // What is asked for by default, every 15 seconds or so, does not keep that; what is asked for by the life of which the
    // client is sure, 8 seconds, has some to spare on a machine that stalls.
    gateway.set_mapping_life(Duration::from_millis(11_500))?;
    let caller = board.visitor(Place::Site(Arc::clone(&site))).await?;
    let found = surveyed(&caller, |found| found.mapping_life.is_some()).await?;
    let life = found.mapping_life.context("measured")?;
    ensure!(life.at_least < Duration::from_secs(12), "{life:?}");
    // A machine that stalls lets it look shorter, never longer.
    ensure!(life.less_than.is_some(), "{life:?}");

    let callee = board.visitor(Place::Site(Arc::new(lab.site(Nat::None)?))).await?;
    let mut talk = Box::pin(board.call_of([caller, callee])).await?;
    talk.carries().await?;
    let [_, other] = &talk.calls;
    let port = other.peer_addr().context("the call is over")?.port();
    let before = gateway.mapping(port)?.context("no mapping")?;
    let after = goes_out(gateway, port, before.sent + QUESTIONS).await?;
    ensure!(after.number == before.number, "the gateway had forgotten the mapping: {before:?}, {after:?}");
    talk.carries().await?;
    ensure!(
        talk.calls.iter().all(|call| call.path() == Some(PathKind::Direct)),
        "{:?}",
        talk.calls.each_ref().map(Call::path)
    );
    Ok(())
}

async fn over_a_patient_gateway(lab: &Lab, board: &Switchboard) -> Result<()> {
    let patient = board.visitor(Place::Site(Arc::new(lab.site(Nat::Symmetric)?))).await?;
    let found = surveyed(&patient, |found| found.mapping_life.is_some()).await?;
    let life = found.mapping_life.context("measured")?;
    ensure!(life.at_least > Duration::from_secs(30) && life.less_than.is_none(), "{life:?}");
    Ok(())
}

/// Enough for the call to be idle for two lives of its mapping and more: of those that go out, questions, answers and
/// words that it lives, there are two in five seconds at most.
const QUESTIONS: u64 = 15;

/// Waits until so many datagrams have gone out over a mapping, or it is another one.
async fn goes_out(gateway: &Gateway, port: u16, wanted: u64) -> Result<InUse> {
    let mut look = tokio::time::interval(Duration::from_millis(100));
    let before = gateway.mapping(port)?.context("no mapping")?;
    let waits = async {
        loop {
            let mapping = gateway.mapping(port)?.context("no mapping")?;
            if mapping.number != before.number || mapping.sent >= wanted {
                return Ok(mapping);
            }
            look.tick().await;
        }
    };
    timeout(GUARD * 2, waits).await.context("the call says too little")?
}

/// What a client finds in each kind of network.
async fn looked_at(lab: &Lab, board: &Arc<Switchboard>) -> Result<Vec<(Nat, Surroundings)>> {
    let mut looks = JoinSet::new();
    for nat in Nat::ALL {
        let (site, board): (Site, _) = (lab.site(nat)?, Arc::clone(board));
        looks.spawn(async move {
            let visitor = board.visitor(Place::Site(Arc::new(site))).await?;
            anyhow::Ok((nat, surveyed(&visitor, |_| true).await?))
        });
    }
    looks.join_all().await.into_iter().collect()
}

/// What its client has found, once that is what is waited for.
async fn surveyed(
    visitor: &Visitor,
    wanted: impl Fn(&Surroundings) -> bool + Send + Sync,
) -> Result<Surroundings> {
    visitor.client.survey(Arc::clone(&visitor.network));
    let found = visitor.client.surroundings_become(|here| here.is_some_and(&wanted));
    timeout(GUARD, found).await.context("the client does not find out")?.context("the client is closed")
}

/// What a client with two addresses of CDX is to say.
fn expected(nat: Nat) -> (Mapping, Filtering, NatKind) {
    let Some((mapping, filtering)) = nat.behaviour() else {
        return (Mapping::Unknown, Filtering::Unknown, NatKind::Closed);
    };
    if nat == Nat::None {
        return (Mapping::None, Filtering::EndpointIndependent, NatKind::Open);
    }
    let mapping = match mapping {
        LabMapping::EndpointIndependent => Mapping::EndpointIndependent,
        LabMapping::AddressDependent => Mapping::AddressDependent,
        LabMapping::AddressAndPortDependent => Mapping::AddressAndPortDependent,
    };
    let (filtering, cone) = match filtering {
        LabFiltering::EndpointIndependent => (Filtering::EndpointIndependent, NatKind::FullCone),
        LabFiltering::AddressDependent => (Filtering::AddressDependent, NatKind::RestrictedCone),
        LabFiltering::AddressAndPortDependent => {
            (Filtering::AddressAndPortDependent, NatKind::PortRestrictedCone)
        }
    };
    let kind = if mapping == Mapping::EndpointIndependent { cone } else { NatKind::Symmetric };
    (mapping, filtering, kind)
}
