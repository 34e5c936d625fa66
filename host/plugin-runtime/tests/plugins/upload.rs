//! What is refused before it can be called, and compiled code kept for the next start.

use std::{collections::BTreeSet, fs, path::Path};

use switchhook_built_guests as guests;
use switchhook_plugin_runtime::{
    ActivateError, ArtefactSettings, RuntimeSettings, Slot,
    builtin::{self, Builtin},
};

use crate::harness::{Host, active, context, settings};

#[tokio::test]
async fn two_methods_cannot_claim_the_same_texts() {
    let host = Host::new();
    let sms = built_in("register-sms");
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
    let router = built_in("route-ring-all");
    let plugin = host.runtime.compile(router.bytes, router.slot).await.unwrap();

    let refused = host.runtime.validate(&plugin, r#"{"ring_time_seconds": 0}"#).await.unwrap_err();

    assert!(refused.to_string().contains("ring_time_seconds is 1 to 120"), "{refused}");
}

#[tokio::test]
async fn compiled_code_is_kept_and_only_the_hosts_own_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let host = |key| {
        Host::with(RuntimeSettings { artefacts: Some(kept(folder.path(), key, u64::MAX)), ..settings() })
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

#[tokio::test]
async fn of_compiled_code_the_oldest_goes_where_all_have_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let files = || {
        let names = fs::read_dir(folder.path().join("code")).unwrap().map(|file| file.unwrap().path());
        names.collect::<BTreeSet<_>>()
    };
    let host =
        |most| Host::with(RuntimeSettings { artefacts: Some(kept(folder.path(), 1, most)), ..settings() });
    host(u64::MAX).runtime.compile(guests::REMEMBERS, Slot::InviteRouter).await.unwrap();
    let oldest = files();
    let size = fs::metadata(oldest.first().unwrap()).unwrap().len();

    let host = host(size * 3 / 2);
    host.runtime.compile(guests::LOOPS_IN_STEP, Slot::RegistrationMethod).await.unwrap();

    assert_eq!(files().len(), 1);
    assert_ne!(files(), oldest, "the newer stays");
}

#[tokio::test]
async fn code_that_was_kept_under_a_former_key_is_loaded_and_kept_under_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    let host = |keys: &[u8]| {
        let artefacts = ArtefactSettings {
            keys: keys.iter().map(|key| [*key; 32]).collect(),
            ..kept(folder.path(), 0, u64::MAX)
        };
        Host::with(RuntimeSettings { artefacts: Some(artefacts), ..settings() })
    };
    host(&[1]).activate(guests::REMEMBERS, Slot::InviteRouter, "{}").await;
    let kept = fs::read_dir(folder.path().join("code")).unwrap().next().unwrap().unwrap().path();
    let written = || fs::metadata(&kept).unwrap().modified().unwrap();
    let before = fs::read(&kept).unwrap();

    host(&[2, 1]).activate(guests::REMEMBERS, Slot::InviteRouter, "{}").await;

    let rotated = fs::read(&kept).unwrap();
    assert_eq!(rotated[32..], before[32..]);
    assert_ne!(rotated[..32], before[..32], "authenticated anew");
    let at = written();
    host(&[2]).activate(guests::REMEMBERS, Slot::InviteRouter, "{}").await;
    assert_eq!(written(), at, "loaded: the former key is not needed");
}

fn kept(folder: &Path, key: u8, most: u64) -> ArtefactSettings {
    ArtefactSettings { folder: folder.join("code"), keys: vec![[key; 32]], most }
}

fn built_in(name: &str) -> Builtin {
    *builtin::all().iter().find(|builtin| builtin.name == name).unwrap()
}
