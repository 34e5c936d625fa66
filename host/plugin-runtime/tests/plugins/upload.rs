//! What is refused before it can be called, and compiled code kept for the next start.

use std::fs;

use switchhook_built_guests as guests;
use switchhook_plugin_runtime::{ActivateError, ArtefactSettings, RuntimeSettings, Slot, builtin};

use crate::harness::{Host, active, context, settings};

#[tokio::test]
async fn two_methods_cannot_claim_the_same_texts() {
    let host = Host::new();
    let sms = builtin::all()[0];
    host.activate(sms.bytes, sms.slot, "{}").await;
    let other = host.runtime.compile(guests::LOOPS_IN_STEP, sms.slot).await.unwrap();

    let refused = host.slots.activate(&context().tenant, active(&other, "{}"));

    let other = sms.name.parse().unwrap();
    assert_eq!(refused, Err(ActivateError::Overlap { prefix: "SWH ".to_owned(), other }));
    host.activate(sms.bytes, sms.slot, "{}").await;
}

#[tokio::test]
async fn a_configuration_is_judged_by_its_plugin() {
    let host = Host::new();
    let router = builtin::all()[3];
    let plugin = host.runtime.compile(router.bytes, router.slot).await.unwrap();

    let refused = host.runtime.validate(&plugin, r#"{"ring_time_seconds": 0}"#).await.unwrap_err();

    assert!(refused.to_string().contains("ring_time_seconds is 1 to 120"), "{refused}");
}

#[tokio::test]
async fn compiled_code_is_kept_and_only_the_hosts_own_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let host = |key| {
        Host::with(RuntimeSettings {
            artefacts: Some(ArtefactSettings { folder: folder.path().join("code"), key: [key; 32] }),
            ..settings()
        })
    };
    host(1).activate(guests::REMEMBERS, Slot::InviteRouter, "{}").await;
    let kept = fs::read_dir(folder.path().join("code")).unwrap().next().unwrap().unwrap().path();
    let code = fs::read(&kept).unwrap();

    let again = host(1);
    again.activate(guests::REMEMBERS, Slot::InviteRouter, "{}").await;
    assert_eq!(again.route(5).await.failure, None);
    assert_eq!(fs::read(&kept).unwrap(), code, "loaded, not compiled anew");

    let mut forged = code.clone();
    *forged.last_mut().unwrap() ^= 1;
    fs::write(&kept, &forged).unwrap();
    host(1).activate(guests::REMEMBERS, Slot::InviteRouter, "{}").await;
    assert_ne!(fs::read(&kept).unwrap(), forged, "what was altered is compiled anew");

    let before = fs::read(&kept).unwrap();
    host(2).activate(guests::REMEMBERS, Slot::InviteRouter, "{}").await;
    assert_ne!(fs::read(&kept).unwrap()[..32], before[..32], "another host's code is compiled anew");
}
