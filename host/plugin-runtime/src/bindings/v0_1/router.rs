//! The invite router of the contract `0.1.0-dev`.

use std::time::Duration;

use switchhook_core::policy::{
    self, Context, Description, Refusal,
    route::{AskAgain, Finally, LegResult, Plan, Question, Resource, Ring, Routed, TargetIndex, Wave},
};
use wasmtime::Store;
pub(crate) use world::InviteRouterPre as Pre;
use world::switchhook::invite_router::routing as wire;

use super::{answers, context, description, endpoint, refusal, requests};
use crate::{call::Call, failure::InvalidOutput};

/// Generated.
#[expect(clippy::too_many_arguments, reason = "generated")]
pub(crate) mod world {
    wasmtime::component::bindgen!({
        path: ["../../wit/types", "../../wit/invite-router"],
        world: "switchhook:invite-router/invite-router",
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

/// Asks a fresh instance for a plan.
pub(crate) async fn route(
    pre: &Pre<Call>,
    store: &mut Store<Call>,
    (asked, configuration): (&Context, &str),
    question: &Question,
) -> wasmtime::Result<Result<Result<Routed, Refusal>, InvalidOutput>> {
    let guest = pre.instantiate_async(&mut *store).await?;
    let answer = guest
        .call_route(
            store,
            &context(asked, configuration),
            &invite(&question.invite),
            &targets(&question.targets),
            &outcomes(&question.so_far),
            &answers(&question.answers),
        )
        .await?;
    Ok(answered(answer, question))
}

fn answered(
    answer: Result<world::Decision, world::Refusal>,
    question: &Question,
) -> Result<Result<Routed, Refusal>, InvalidOutput> {
    let routed = match answer {
        Ok(world::Decision::Ring(wanted)) => Routed::Ring(plan(wanted)?),
        Ok(world::Decision::Ask(asked)) => Routed::Ask(requests(asked)),
        Err(refused) => return refusal(refused).map(Err),
    };
    routed.check(question)?;
    Ok(Ok(routed))
}

fn invite(invite: &policy::route::Invite) -> wire::Invite {
    wire::Invite {
        inviter: invite.inviter.reveal().to_owned(),
        invited: invite.invited.iter().map(|invited| invited.reveal().to_owned()).collect(),
        purpose: invite.purpose.clone(),
        inviter_region: invite.inviter_region.clone(),
    }
}

fn targets(targets: &[policy::route::Target]) -> Vec<wire::Target> {
    let target = |(index, target): (u16, &policy::route::Target)| wire::Target {
        index,
        user: target.user,
        kind: target.kind.clone(),
        region: target.region.clone(),
        online: target.online,
    };
    (0..=u16::MAX).zip(targets).map(target).collect()
}

fn outcomes(outcomes: &[policy::route::LegOutcome]) -> Vec<wire::LegOutcome> {
    let outcome = |leg: &policy::route::LegOutcome| wire::LegOutcome {
        target: leg.target.0,
        outcome: match leg.result {
            LegResult::Rang => wire::LegResult::Rang,
            LegResult::Declined => wire::LegResult::Declined,
            LegResult::Busy => wire::LegResult::Busy,
            LegResult::NoAnswer => wire::LegResult::NoAnswer,
        },
    };
    outcomes.iter().map(outcome).collect()
}

fn plan(plan: wire::Plan) -> Result<Plan, InvalidOutput> {
    let wire::Plan { waves, ask_again, resources, finally } = plan;
    let wire::AskAgain { busy, declined, no_answer } = ask_again;
    Ok(Plan {
        waves: waves.into_iter().map(wave).collect(),
        ask_again: AskAgain { busy, declined, no_answer },
        resources: (resources.into_iter())
            .map(|wire::Resource { kind, region }| Resource { kind, region })
            .collect(),
        finally: match finally {
            wire::Finally::GiveUp(reason) => Finally::GiveUp(reason),
            wire::Finally::Forward(to) => Finally::Forward(endpoint(to)?),
            wire::Finally::Bridge(to) => Finally::Bridge(to),
        },
    })
}

fn wave(wave: wire::Wave) -> Wave {
    let ring = |ring: wire::Ring| Ring {
        target: TargetIndex(ring.target),
        ring_time: Duration::from_millis(ring.ring_time),
    };
    Wave {
        rings: wave.rings.into_iter().map(ring).collect(),
        starts_after: Duration::from_millis(wave.starts_after),
    }
}
