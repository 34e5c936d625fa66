//! The host's own plugins: they do their job, and have no privilege.

use switchhook_core::policy::{
    nat::{Decided, Mapping, Verdict},
    registration::{Effect, Event, Field},
};
use switchhook_plugin_runtime::{Failure, Slot, builtin};

use crate::harness::{Host, context, parties, plan, text};

#[tokio::test]
async fn plug_2_the_hosts_own_plugins_come_as_bytes_through_the_same_door_and_limits() {
    let host = Host::new();
    for own in builtin::all() {
        // The door of an upload: the same imports, the same contract, asked to describe itself under
        // the same limits; the runtime is told nothing about where the bytes come from.
        let plugin = host.runtime.compile(own.bytes, own.slot).await.unwrap();
        assert_eq!((&*plugin.description().name, plugin.slot()), (own.name, own.slot));
        assert_eq!(host.runtime.validate(&plugin, own.configuration).await, Ok(()));
        for slot in [Slot::RegistrationMethod, Slot::NatPolicy, Slot::InviteRouter] {
            let admitted = host.runtime.compile(own.bytes, slot).await.is_ok();
            assert_eq!(admitted, slot == own.slot, "{} as {slot}", own.name);
        }
    }
}

#[tokio::test]
async fn plug_2_a_tenants_plugin_takes_the_place_of_the_hosts_own() {
    let host = running().await;
    assert_eq!(host.route(2).await.by.unwrap().name.as_str(), "route-ring-all");

    host.activate(switchhook_built_guests::REMEMBERS, Slot::InviteRouter, "{}").await;

    assert_eq!(host.route(2).await.by.unwrap().name.as_str(), "remembers");
}

#[tokio::test]
async fn inv_2_the_router_rings_every_device() {
    let decision = running().await.route(5).await;

    assert_eq!(decision.failure, None);
    assert_eq!(plan(&decision).waves.len(), 1);
    assert_eq!(plan(&decision).waves[0].rings.len(), 5);
    assert!((1..50_000).contains(&decision.fuel), "{}", decision.fuel);
}

#[tokio::test]
async fn a_router_answers_for_hundreds_of_devices() {
    let decision = running().await.route(500).await;
    assert_eq!(decision.failure, None);
    assert_eq!(plan(&decision).waves[0].rings.len(), 500);
}

#[tokio::test]
async fn nat_3_cones_talk_directly_and_symmetric_gateways_through_the_relay() {
    let host = running().await;
    let ask = async |mapping| host.slots.nat(&context(), &parties(mapping), &host.facts).await;

    let cones = ask(Mapping::EndpointIndependent).await;
    let symmetric = ask(Mapping::AddressAndPortDependent).await;

    assert_eq!((cones.failure, cones.outcome), (None, Decided::Verdict(Verdict::Direct)));
    let relay =
        Decided::Verdict(Verdict::Relay { region: Some("eu-west".to_owned()), until_accepted: false });
    assert_eq!((symmetric.failure, symmetric.outcome), (None, relay));
}

#[tokio::test]
async fn reg_3_a_claimed_text_is_answered_by_a_signature_and_its_proof_binds() {
    let host = running().await;
    let claimed = host.slots.claim(&context().tenant, &text("SWH token device")).await.outcome.unwrap();
    assert_eq!(claimed.method.as_str(), "register-sms");

    let signed = host.step("register-sms", None, Event::TextReceived(text("SWH token device"))).await;
    let signed = signed.outcome.unwrap();
    let [Effect::SendSignature(signature)] = &signed.effects[..] else { panic!("{signed:?}") };
    assert_eq!((signature.push_token.as_str(), signature.device.as_str()), ("token", "device"));

    let proven = Event::SignatureVerified("+15550100".parse().unwrap());
    let bound = host.step("register-sms", Some(&signed.state), proven).await.outcome.unwrap();
    assert_eq!(bound.effects.last(), Some(&Effect::Finish));
    assert_eq!(bound.effects.first(), Some(&Effect::Bind("+15550100".parse().unwrap())));
}

#[tokio::test]
async fn a_text_of_nobodys_is_claimed_by_nobody() {
    let claim = running().await.slots.claim(&context().tenant, &text("hello")).await;
    assert_eq!((claim.outcome, claim.failure), (None, None));
}

#[tokio::test]
async fn reg_5_a_typed_number_gets_a_code_and_a_refusal_is_an_answer() {
    let host = running().await;
    let begun =
        |number: &str| Event::Begun(vec![Field { name: "number".to_owned(), value: number.to_owned() }]);

    let started = host.step("register-phone-entry", None, begun("+15550100")).await;
    assert!(matches!(started.outcome.unwrap().effects[..], [Effect::SendCode(_)]));

    let refused = host.step("register-phone-entry", None, begun("nothing")).await;
    assert_eq!(refused.failure, None);
    assert_eq!(refused.outcome.unwrap_err().code, "invalid-number");
}

#[tokio::test]
async fn a_tenant_without_plugins_gets_the_declared_defaults() {
    let host = Host::new();

    let route = host.route(5).await;
    let step = host.step("register-sms", None, Event::Deadline).await;

    assert_eq!((route.failure, route.by), (Some(Failure::Missing), None));
    assert_eq!(step.outcome.unwrap_err().code, "unavailable");
}

async fn running() -> Host {
    let host = Host::new();
    for own in builtin::all().iter().filter(|own| own.active) {
        host.activate(own.bytes, own.slot, own.configuration).await;
    }
    host
}
