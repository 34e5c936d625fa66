//! One guest a sin: what it does is contained and told by its name, and the declared default counts (PLUG-4).

use std::time::Duration;

use futures_util::future::join_all;
use switchhook_built_guests as guests;
use switchhook_core::policy::{
    Context, InvalidRequest,
    nat::{Decided, Mapping, Verdict},
    registration::{self, Event},
    route::{Finally, InvalidPlan, Plan, Routed, TargetIndex},
};
use switchhook_plugin_runtime::{
    CompileError, ConfigurationError, Decision, Failure, InvalidOutput, LogLevel, Slot,
};

use crate::{
    capabilities::{asks_conversions, asks_the_service, asks_the_system, fetches, hunts, mails, texts_on},
    harness::{Host, active, context, invite, parties, plan, settings, soon, text},
};

macro_rules! is_tested {
    ($guest:ident) => {
        #[expect(unused_imports, reason = "does not compile for a guest that has no module here")]
        use self::$guest as _;
    };
}
switchhook_built_guests::for_each_guest!(is_tested);

mod loops_in_describe {
    use super::*;

    #[tokio::test]
    async fn cannot_be_uploaded() {
        let compiled = soon(Host::new().runtime.compile(guests::LOOPS_IN_DESCRIBE, Slot::InviteRouter)).await;
        assert_eq!(compiled.unwrap_err(), CompileError::Describe(Failure::OutOfFuel));
    }
}

mod loops_in_route {
    use super::*;

    #[tokio::test]
    async fn runs_out_of_fuel_and_every_device_rings() {
        fails_with(&ask(guests::LOOPS_IN_ROUTE).await, &Failure::OutOfFuel);
    }

    #[tokio::test]
    async fn burns_the_same_fuel_each_time() {
        let host = Host::running(guests::LOOPS_IN_ROUTE, Slot::InviteRouter).await;
        let (first, second) = (host.route(5).await.fuel, host.route(5).await.fuel);
        assert_eq!(first, second);
        assert!(first >= 5_000_000, "{first}");
    }

    #[tokio::test]
    async fn judges_no_configuration() {
        let host = Host::new();
        let plugin = host.runtime.compile(guests::LOOPS_IN_ROUTE, Slot::InviteRouter).await.unwrap();
        let judged = soon(host.runtime.validate(&plugin, "{}")).await;
        assert_eq!(judged, Err(ConfigurationError::Failed(Failure::OutOfFuel)));
    }

    /// One thread: what runs beside the guest runs because the guest lets go of the thread.
    #[tokio::test]
    async fn lets_others_have_its_thread() {
        let host = Host::running(guests::LOOPS_IN_ROUTE, Slot::InviteRouter).await;
        let mut turns = 0;
        let looping = host.route(5);
        tokio::pin!(looping);

        let decision = loop {
            tokio::select! {
                biased;
                decision = &mut looping => break decision,
                () = tokio::task::yield_now() => turns += 1,
            }
        };

        fails_with(&decision, &Failure::OutOfFuel);
        assert!(turns >= 20, "{turns} turns");
    }

    /// As many calls without end as there are instances, and twice as many that wait: of a tenant of its own.
    #[tokio::test]
    async fn of_one_tenant_leave_an_instance_to_its_neighbour() {
        let host = Host::running(guests::LOOPS_IN_ROUTE, Slot::InviteRouter).await;
        let neighbour = Context { tenant: "neighbour".parse().unwrap(), ..context() };
        let plugin = host.runtime.compile(guests::HUNTS, Slot::InviteRouter).await.unwrap();
        host.slots.activate(&neighbour.tenant, active(&plugin, "7")).unwrap();
        let question = invite(3);
        let greedy = context();
        let flood = join_all((0..12).map(|_| host.slots.route(&greedy, &question, &host.facts)));
        let calm = async {
            let mut answered = 0;
            for _ in 0..20 {
                let decision = host.slots.route(&neighbour, &question, &host.facts).await;
                answered += usize::from(decision.failure.is_none());
            }
            answered
        };

        let (flood, answered) = soon(Box::pin(async { tokio::join!(flood, calm) })).await;

        assert_eq!(answered, 20);
        assert!(flood.iter().all(|decision| decision.failure.is_some()));
    }

    #[tokio::test]
    async fn more_at_once_than_there_are_instances_all_get_an_answer() {
        let host = Host::running(guests::LOOPS_IN_ROUTE, Slot::InviteRouter).await;
        let (context, question) = (context(), invite(5));
        let ask = || Box::pin(host.slots.route(&context, &question, &host.facts));

        let many = soon(async { tokio::join!(ask(), ask(), ask(), ask(), ask(), ask(), ask(), ask()) }).await;

        let all = [many.0, many.1, many.2, many.3, many.4, many.5, many.6, many.7];
        for decision in all {
            let failure = decision.failure.expect("a failure");
            let expected = [Failure::OutOfFuel, Failure::OutOfTime, Failure::Busy];
            assert!(expected.contains(&failure), "{failure}");
        }
        host.activate(guests::ASKS_FACTS, Slot::InviteRouter, "{}").await;
        assert_eq!(soon(host.route(5)).await.failure, None, "all places are free again");
    }
}

mod loops_in_decide {
    use super::*;

    #[tokio::test]
    async fn runs_out_of_fuel_and_the_relay_is_taken() {
        let host = Host::running(guests::LOOPS_IN_DECIDE, Slot::NatPolicy).await;
        let question = parties(Mapping::EndpointIndependent);

        let decision = soon(host.slots.nat(&context(), &question, &host.facts)).await;

        assert_eq!(decision.failure, Some(Failure::OutOfFuel));
        assert_eq!(decision.outcome, Decided::Verdict(Verdict::DEFAULT));
    }
}

mod loops_in_step {
    use super::*;

    #[tokio::test]
    async fn runs_out_of_fuel_and_the_registration_is_refused() {
        let host = Host::running(guests::LOOPS_IN_STEP, Slot::RegistrationMethod).await;

        let step = soon(host.step("loops-in-step", None, Event::Deadline)).await;
        let claim = soon(host.slots.claim(&context().tenant, &text("SWH token device"))).await;

        assert_eq!(step.failure, Some(Failure::OutOfFuel));
        assert_eq!(step.outcome, Err(registration::unavailable()));
        assert_eq!((claim.failure, claim.outcome), (Some(Failure::OutOfFuel), None));
    }

    #[tokio::test]
    async fn plug_4_burns_its_tenants_share_and_is_then_not_asked_for_a_while() {
        let host = Host::running(guests::LOOPS_IN_STEP, Slot::RegistrationMethod).await;

        // Each burns a second of its share; ten seconds of it may be burned at once.
        let mut failures = vec![];
        while failures.len() < 50 && failures.last() != Some(&Failure::Spent) {
            failures.extend(soon(host.step("loops-in-step", None, Event::Deadline)).await.failure);
        }

        assert_eq!(failures.last(), Some(&Failure::Spent), "after {} calls", failures.len());
        assert!(failures.len() > 10, "{failures:?}");
    }

    #[tokio::test]
    async fn runs_out_of_time_where_fuel_lasts_longer() {
        let mut hurried = settings();
        hurried.deadlines.step = Duration::ZERO;
        let host = Host::with(hurried);
        host.activate(guests::LOOPS_IN_STEP, Slot::RegistrationMethod, "{}").await;

        let step = soon(host.step("loops-in-step", None, Event::Deadline)).await;

        assert_eq!(step.failure, Some(Failure::OutOfTime));
    }
}

mod binds_nonsense {
    use super::*;

    #[tokio::test]
    async fn binds_nothing() {
        let host = Host::running(guests::BINDS_NONSENSE, Slot::RegistrationMethod).await;

        let step = host.step("binds-nonsense", None, Event::Deadline).await;

        assert!(matches!(step.failure, Some(Failure::Invalid(InvalidOutput::Endpoint(_)))));
        assert_eq!(step.outcome, Err(registration::unavailable()));
    }
}

mod signs_for_strangers {
    use super::*;

    /// Well formed: that nobody named this device is what the host's flow knows, and refuses (`platform` tests).
    #[tokio::test]
    async fn is_a_question_of_who_asks() {
        let host = Host::running(guests::SIGNS_FOR_STRANGERS, Slot::RegistrationMethod).await;

        let step = host.step("signs-for-strangers", None, Event::Begun(vec![])).await;

        assert_eq!(step.failure, None);
        let transition = step.outcome.unwrap();
        assert!(matches!(&transition.effects[..], [registration::Effect::SendSignature(_)]));
    }
}

mod traps {
    use super::*;

    #[tokio::test]
    async fn is_told_from_other_failures() {
        let decision = ask(guests::TRAPS).await;
        assert!(matches!(decision.failure, Some(Failure::Trapped(_))), "{:?}", decision.failure);
        rings_all(&decision);
    }
}

mod recurses {
    use super::*;

    #[tokio::test]
    async fn overflows_its_own_stack_and_not_the_hosts() {
        let decision = ask(guests::RECURSES).await;
        assert!(matches!(decision.failure, Some(Failure::Trapped(_))), "{:?}", decision.failure);
        rings_all(&decision);
    }
}

mod bombs_memory {
    use super::*;

    #[tokio::test]
    async fn runs_out_of_memory() {
        fails_with(&ask(guests::BOMBS_MEMORY).await, &Failure::OutOfMemory);
    }
}

mod hands_out_too_much {
    use super::*;

    #[tokio::test]
    async fn is_cut_off() {
        fails_with(&ask(guests::HANDS_OUT_TOO_MUCH).await, &Failure::TooLarge);
    }
}

mod floods_host_calls {
    use super::*;

    #[tokio::test]
    async fn is_stopped_and_most_of_its_log_is_dropped() {
        let decision = ask(guests::FLOODS_HOST_CALLS).await;
        fails_with(&decision, &Failure::TooManyHostCalls);
        assert_eq!(decision.log.len(), 32);
    }
}

mod floods_log {
    use super::*;

    #[tokio::test]
    async fn gets_its_answer_and_a_bounded_log() {
        let decision = ask(guests::FLOODS_LOG).await;
        assert_eq!(decision.failure, None);
        assert_eq!(decision.log.len(), 32);
        assert!(decision.log.iter().all(|line| line.level == LogLevel::Warn && line.text.len() == 512));
    }
}

mod rings_twice {
    use super::*;

    #[tokio::test]
    async fn has_an_invalid_plan() {
        let broken = InvalidPlan::RepeatedTarget(TargetIndex(0));
        fails_with(&ask(guests::RINGS_TWICE).await, &Failure::Invalid(broken.into()));
    }
}

mod rings_strangers {
    use super::*;

    #[tokio::test]
    async fn has_an_invalid_plan() {
        let broken = InvalidPlan::UnknownTarget(TargetIndex(5));
        fails_with(&ask(guests::RINGS_STRANGERS).await, &Failure::Invalid(broken.into()));
    }
}

mod refuses {
    use super::*;

    #[tokio::test]
    async fn is_told_from_one_that_misbehaves() {
        let decision = ask(guests::REFUSES).await;
        let Some(Failure::Refused(refusal)) = &decision.failure else { panic!("{decision:?}") };
        assert_eq!(refusal.code, "closed");
        rings_all(&decision);
    }
}

mod remembers {
    use super::*;

    #[tokio::test]
    async fn finds_nothing_of_the_call_before() {
        let host = Host::running(guests::REMEMBERS, Slot::InviteRouter).await;
        for _ in 0..3 {
            let decision = host.route(5).await;
            assert_eq!(plan(&decision).finally, Finally::GiveUp("calls-before-0".to_owned()));
        }
    }
}

mod asks_facts {
    use std::sync::Arc;

    use switchhook_core::policy::Facts;

    use super::*;

    #[tokio::test]
    async fn is_told_what_the_host_prepared_and_nothing_else() {
        let mut host = Host::running(guests::ASKS_FACTS, Slot::InviteRouter).await;
        let finally = |count: &str| Finally::GiveUp(format!("devices-{count}"));
        assert_eq!(plan(&host.route(5).await).finally, finally("0"));

        host.facts =
            Arc::new(Facts { devices: [("+15550100".parse().unwrap(), 3)].into(), ..Facts::default() });

        assert_eq!(plan(&host.route(5).await).finally, finally("3"));
    }
}

mod plans_absurdly {
    use super::*;

    #[tokio::test]
    async fn breaks_a_rule_of_plans_and_every_device_rings() {
        let host = Host::running(guests::PLANS_ABSURDLY, Slot::InviteRouter).await;
        let broken = [
            ("nine-waves", InvalidPlan::TooManyWaves),
            ("no-time", InvalidPlan::RingTime(TargetIndex(0))),
            ("for-ever", InvalidPlan::RingTime(TargetIndex(0))),
            ("never", InvalidPlan::Start(0)),
            ("backwards", InvalidPlan::Start(1)),
            ("empty-wave", InvalidPlan::EmptyWave(0)),
            ("loop", InvalidPlan::ForwardLoop),
            ("silence", InvalidPlan::GiveUp),
        ];
        for (purpose, rule) in broken {
            fails_with(&ask_for(&host, purpose).await, &Failure::Invalid(rule.into()));
        }
    }

    #[tokio::test]
    async fn ten_thousand_waves_are_not_even_read() {
        let host = Host::running(guests::PLANS_ABSURDLY, Slot::InviteRouter).await;
        fails_with(&ask_for(&host, "waves").await, &Failure::TooLarge);
    }

    async fn ask_for(host: &Host, purpose: &str) -> Decision<Routed> {
        let mut question = invite(5);
        purpose.clone_into(&mut question.invite.purpose);
        host.slots.route(&context(), &question, &host.facts).await
    }
}

mod asks_for_ever {
    use super::*;

    /// That it is not asked for ever is the server's to see to.
    #[tokio::test]
    async fn asks_whatever_it_is_told() {
        assert!(matches!(ask(guests::ASKS_FOR_EVER).await.outcome, Routed::Ask(_)));
    }
}

mod fetches_for_ever {
    use super::*;

    /// The same.
    #[tokio::test]
    async fn fetches_whatever_it_is_told() {
        let host = Host::running(guests::FETCHES_FOR_EVER, Slot::RegistrationMethod).await;
        let decision = host.step("fetches-for-ever", None, Event::Deadline).await;
        assert_eq!(decision.failure, Some(Failure::Invalid(fetch_rule())));
    }

    /// `{}` is no address.
    fn fetch_rule() -> InvalidOutput {
        registration::InvalidTransition::Fetch { index: 0, why: InvalidRequest::Url(0) }.into()
    }
}

mod remembers_too_much {
    use super::*;

    #[tokio::test]
    async fn has_state_one_byte_too_large() {
        let host = Host::running(guests::REMEMBERS_TOO_MUCH, Slot::RegistrationMethod).await;
        let kept = host.step("remembers-too-much", None, Event::Deadline).await.outcome.unwrap();
        assert_eq!(kept.state.0.len(), 16 * 1024);

        let decision = host.step("remembers-too-much", Some(&kept.state), Event::Deadline).await;

        let rule = registration::InvalidTransition::State.into();
        assert_eq!(decision.failure, Some(Failure::Invalid(rule)));
        assert_eq!(decision.outcome, Err(registration::unavailable()));
    }
}

async fn ask(guest: &[u8]) -> Decision<Routed> {
    let host = Host::running(guest, Slot::InviteRouter).await;
    soon(host.route(5)).await
}

fn fails_with(decision: &Decision<Routed>, failure: &Failure) {
    assert_eq!(decision.failure.as_ref(), Some(failure));
    rings_all(decision);
}

fn rings_all(decision: &Decision<Routed>) {
    assert_eq!(decision.outcome, Routed::Ring(Plan::ring_all(&invite(5).targets)));
}
