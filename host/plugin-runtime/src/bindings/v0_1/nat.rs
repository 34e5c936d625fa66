//! The NAT policy of the contract `0.1.0-dev`.

use std::time::Duration;

use switchhook_core::policy::{
    Context, Description, Refusal,
    nat::{Decided, Fact, Filtering, Guessing, Mapping, Origin, Party, Question, Verdict},
};
use wasmtime::Store;
pub(crate) use world::NatPolicyPre as Pre;
use world::switchhook::nat_policy::nat as wire;

use super::{answers, context, description, refusal, requests};
use crate::{call::Call, failure::InvalidOutput};

/// Generated.
#[expect(clippy::too_many_arguments, reason = "generated")]
pub(crate) mod world {
    wasmtime::component::bindgen!({
        path: ["../../wit/types", "../../wit/nat-policy"],
        world: "switchhook:nat-policy/nat-policy",
        exports: { default: async },
        with: { "switchhook:types@0.1.0-dev": crate::bindings::v0_1::shared::switchhook::types },
    });
}

/// Asks a fresh instance to introduce itself.
pub(crate) async fn describe(
    pre: &Pre<Call>,
    store: &mut Store<Call>,
) -> wasmtime::Result<Result<Description, InvalidOutput>> {
    let guest = pre.instantiate_async(&mut *store).await?;
    Ok(description(guest.call_describe(store).await?, vec![]))
}

/// Asks a fresh instance whether it understands a configuration.
pub(crate) async fn validate(
    pre: &Pre<Call>,
    store: &mut Store<Call>,
    configuration: &str,
) -> wasmtime::Result<Result<Result<(), String>, InvalidOutput>> {
    Ok(Ok(pre.instantiate_async(&mut *store).await?.call_validate_config(store, configuration).await?))
}

/// Asks a fresh instance for a verdict.
pub(crate) async fn decide(
    pre: &Pre<Call>,
    store: &mut Store<Call>,
    (asked, configuration): (&Context, &str),
    question: &Question,
) -> wasmtime::Result<Result<Result<Decided, Refusal>, InvalidOutput>> {
    let Question { a, b, attempt, history, answers: answered } = question;
    let attempt =
        wire::Attempt { direct_failures: attempt.direct_failures, relay_requested: attempt.relay_requested };
    let history =
        wire::Outcomes { direct_worked: history.direct_worked, direct_failed: history.direct_failed };
    let guest = pre.instantiate_async(&mut *store).await?;
    let context = context(asked, configuration);
    let answer = guest
        .call_decide(store, &context, &party(a), &party(b), attempt, history, &answers(answered))
        .await?;
    Ok(verdict(answer))
}

fn verdict(
    answer: Result<world::Verdict, world::Refusal>,
) -> Result<Result<Decided, Refusal>, InvalidOutput> {
    let decided = match answer {
        Ok(world::Verdict::Direct) => Decided::Verdict(Verdict::Direct),
        Ok(world::Verdict::Relay(hint)) => relay(hint, false),
        Ok(world::Verdict::RelayUntilAccepted(hint)) => relay(hint, true),
        Ok(world::Verdict::DirectThenRelay(patience)) => {
            let patience = Duration::from_millis(patience.milliseconds.into());
            Decided::Verdict(Verdict::DirectThenRelay { patience, guessing: Guessing::default() })
        }
        Ok(world::Verdict::DirectGuessing(effort)) => {
            let patience = Duration::from_millis(effort.milliseconds.into());
            let wire::Guessing { next_ports, birthday } = effort.guessing;
            Decided::Verdict(Verdict::DirectThenRelay {
                patience,
                guessing: Guessing { next_ports, birthday },
            })
        }
        Ok(world::Verdict::Ask(asked)) => Decided::Ask(requests(asked)),
        Err(refused) => return refusal(refused).map(Err),
    };
    decided.check()?;
    Ok(Ok(decided))
}

fn relay(hint: wire::RelayHint, until_accepted: bool) -> Decided {
    Decided::Verdict(Verdict::Relay { region: hint.region, until_accepted })
}

fn party(party: &Party) -> wire::Party {
    wire::Party {
        mapping: mapping(party.mapping),
        mapping_origin: origin(party.mapping.origin),
        filtering: filtering(party.filtering),
        filtering_origin: origin(party.filtering.origin),
        network: party.network.clone(),
        region: party.region.clone(),
        has_host_address: party.has_host_address,
        ipv6: party.ipv6,
    }
}

fn mapping(mapping: Fact<Mapping>) -> wire::Mapping {
    match mapping.value {
        Mapping::None => wire::Mapping::None,
        Mapping::EndpointIndependent => wire::Mapping::EndpointIndependent,
        Mapping::AddressDependent => wire::Mapping::AddressDependent,
        Mapping::AddressAndPortDependent => wire::Mapping::AddressAndPortDependent,
        Mapping::Unknown => wire::Mapping::Unknown,
    }
}

fn filtering(filtering: Fact<Filtering>) -> wire::Filtering {
    match filtering.value {
        Filtering::None => wire::Filtering::None,
        Filtering::EndpointIndependent => wire::Filtering::EndpointIndependent,
        Filtering::AddressDependent => wire::Filtering::AddressDependent,
        Filtering::AddressAndPortDependent => wire::Filtering::AddressAndPortDependent,
        Filtering::Unknown => wire::Filtering::Unknown,
    }
}

fn origin(origin: Origin) -> wire::Origin {
    match origin {
        Origin::Observed => wire::Origin::Observed,
        Origin::Claimed => wire::Origin::Claimed,
    }
}
