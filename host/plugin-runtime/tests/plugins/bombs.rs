//! Uploads that no compiler makes: whatever they try, they are refused with a reason or bounded like
//! others, and what runs goes on (PLUG-4).

use switchhook_built_guests::{self as guests, by_hand};
use switchhook_core::policy::{
    Grants,
    route::{Plan, Routed},
};
use switchhook_plugin_runtime::{Class, CompileError, Examined, Failure, Slot, builtin, report};

use crate::harness::{Host, invite, soon};

#[tokio::test]
async fn plug_4_a_loop_at_instantiation_is_out_of_fuel_before_it_says_anything() {
    let bytes = by_hand::starting(router(), &by_hand::loops_at_start());

    let compiled = soon(Host::new().runtime.compile(&bytes, Slot::InviteRouter)).await;

    assert_eq!(compiled.unwrap_err(), CompileError::Describe(Failure::OutOfFuel));
}

#[tokio::test]
async fn plug_4_a_table_bomb_is_out_of_memory() {
    let bytes = by_hand::starting(router(), &by_hand::bombs_tables());

    let compiled = soon(Host::new().runtime.compile(&bytes, Slot::InviteRouter)).await;

    assert_eq!(compiled.unwrap_err(), CompileError::Describe(Failure::OutOfMemory));
}

/// What is copied out counts, not what the guest has: a thousand lists that are the same one are a gigabyte.
#[tokio::test]
async fn plug_4_a_small_answer_that_is_a_gigabyte_when_copied_is_too_large_and_every_device_rings() {
    let bytes = guests::aliases(router()).unwrap();
    let host = Host::running(&bytes, Slot::InviteRouter).await;

    let decision = soon(host.route(5)).await;

    assert_eq!(decision.failure, Some(Failure::TooLarge));
    assert_eq!(decision.outcome, Routed::Ring(Plan::ring_all(&invite(5).targets)));
}

#[tokio::test]
async fn plug_4_memory_that_waits_for_other_threads_is_refused() {
    says(&by_hand::starting(router(), &by_hand::sleeps()), "threads").await;
}

#[tokio::test]
async fn plug_4_memory_larger_than_there_is_is_refused() {
    says(&by_hand::starting(router(), &by_hand::begins_with_memory(2_000)), "memory").await;
}

#[tokio::test]
async fn plug_4_a_table_larger_than_there_is_is_refused() {
    says(&by_hand::starting(router(), &by_hand::lists_functions(60_000)), "table").await;
}

#[tokio::test]
async fn plug_4_hundreds_of_thousands_of_tiny_functions_are_refused_unread() {
    says(&by_hand::carrying(router(), &by_hand::tiny_functions(300_000)), "100000").await;
}

/// The bound is on how many, not on having them in one module.
#[tokio::test]
async fn plug_4_thousands_of_functions_are_compiled() {
    let bytes = by_hand::carrying(router(), &by_hand::tiny_functions(2_000));

    let compiled = Host::new().runtime.compile(&bytes, Slot::InviteRouter).await;

    assert!(compiled.is_ok(), "{compiled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_component_runs_in_an_engine_of_its_own_with_the_same_answers() {
    let host = Host::new();
    host.activate(router(), Slot::InviteRouter, "{}").await;
    let expected = host.route(5).await;

    host.activate(&large(router()), Slot::InviteRouter, "{}").await;
    let decision = host.route(5).await;

    let class = report(&large(router()), Slot::InviteRouter, &Grants::default()).class;
    assert_eq!(class, Class::Large);
    assert_eq!((decision.outcome, decision.failure, decision.fuel), (expected.outcome, None, expected.fuel));
}

/// One thread, as in a tool.
#[tokio::test]
async fn a_large_component_runs_where_there_is_one_thread() {
    let host = Host::new();
    host.activate(&large(router()), Slot::InviteRouter, "{}").await;

    assert_eq!(host.route(5).await.failure, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn plug_4_a_large_component_has_more_fuel_and_no_endless_one() {
    let host = Host::new();
    host.activate(&large(guests::LOOPS_IN_ROUTE), Slot::InviteRouter, "{}").await;

    let decision = soon(host.route(5)).await;

    assert_eq!(decision.failure, Some(Failure::OutOfFuel));
    assert!(decision.fuel >= 100_000_000, "{}", decision.fuel);
}

#[tokio::test(flavor = "multi_thread")]
async fn plug_4_a_large_component_has_more_memory_and_not_all_of_it() {
    let host = Host::new();
    host.activate(&large(guests::BOMBS_MEMORY), Slot::InviteRouter, "{}").await;

    assert_eq!(soon(host.route(5)).await.failure, Some(Failure::OutOfMemory));
}

async fn says(bytes: &[u8], word: &str) {
    let host = Host::new();
    let examined = soon(host.runtime.examine(None, bytes, Slot::InviteRouter, &Grants::default())).await;
    let Examined { report, plugin } = examined.unwrap();
    assert!(plugin.is_none());
    let said = report.to_string();
    assert!(said.contains(word), "{said}");
}

fn large(component: &[u8]) -> Vec<u8> {
    by_hand::padded(component, 2 * 1024 * 1024)
}

fn router() -> &'static [u8] {
    let router = builtin::all().iter().find(|builtin| builtin.slot == Slot::InviteRouter);
    router.expect("a router ships").bytes
}
