//! What an upload is told before anything of it is compiled.

use switchhook_built_guests as guests;
use switchhook_core::policy::Grants;
use switchhook_plugin_runtime::{Class, CompileError, MAX_COMPONENT, Report, Slot, builtin, report};

use crate::harness::Host;

/// A router whose bytes can be searched for names.
const ROUTER: &[u8] = guests::REMEMBERS;

#[test]
fn plug_1_every_builtin_keeps_its_contract() {
    for plugin in builtin::all() {
        let report = judged(plugin.bytes, plugin.slot);

        assert_eq!(report.findings, [], "{plugin:?}");
        assert_eq!(report.contract.as_deref(), Some("0.1.0-dev"));
        assert_eq!(report.class, Class::Small);
    }
}

#[test]
fn plug_4_bytes_that_are_no_component_are_refused_with_the_reason() {
    let cut = &ROUTER[..ROUTER.len() - 1];
    let longer = [ROUTER, b"\x7f"].concat();
    for bytes in [b"hello".as_slice(), b"", cut, &longer] {
        assert_refused(&judged(bytes, Slot::InviteRouter), "not a valid component");
    }
    assert_refused(&judged(b"\0asm\x01\0\0\0", Slot::InviteRouter), "`switchhook plugin build`");
    let large = vec![0; MAX_COMPONENT + 1];
    assert_refused(&judged(&large, Slot::InviteRouter), "more than 33554432");
}

#[test]
fn plug_1_a_plugin_of_another_slot_is_told_where_it_belongs() {
    let report = judged(ROUTER, Slot::NatPolicy);

    assert_refused(&report, "this is of the world invite-router; upload it to that slot");
}

#[test]
fn plug_1_a_field_and_a_case_of_other_names_are_named() {
    let report = judged(&renamed(ROUTER, "starts-after", "starts-later"), Slot::InviteRouter);
    assert_refused(&report, "your `wave` has no field `starts-after`");
    assert_refused(&report, "your `wave` has a field `starts-later`");

    let report = judged(&renamed(ROUTER, "give-up", "gave-up"), Slot::InviteRouter);
    assert_refused(&report, "your `finally` has no case `give-up`");
}

#[test]
fn plug_1_another_version_of_the_contract_is_named() {
    let report = judged(&renamed(ROUTER, "@0.1.0-dev", "@0.1.1-dev"), Slot::InviteRouter);

    assert_refused(&report, "it is built against 0.1.1-dev; this host knows 0.1.0-dev");
}

/// Each of a thousand damaged copies is refused with a reason, or is still a whole component.
#[test]
fn plug_4_a_flipped_byte_never_panics() {
    let mut random = 1_u64;
    let mut refused = 0;
    for _ in 0..1_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut bytes = ROUTER.to_vec();
        let at = usize::try_from(random >> 16).unwrap() % bytes.len();
        bytes[at] ^= 1 << (random >> 13 & 7);

        refused += usize::from(!judged(&bytes, Slot::InviteRouter).accepted());
    }
    assert!(refused > 0, "damage is seen");
}

#[tokio::test]
async fn plug_4_an_upload_that_does_not_fit_is_not_compiled() {
    let runtime = Host::new().runtime;

    let refused = runtime.compile(ROUTER, Slot::NatPolicy).await.unwrap_err();
    let examined = runtime.examine(None, ROUTER, Slot::NatPolicy, &Grants::default()).await.unwrap();

    assert_eq!(refused, CompileError::Refused(Box::new(examined.report)));
    assert!(examined.plugin.is_none());
}

#[tokio::test]
async fn plug_1_an_upload_that_fits_describes_itself() {
    let examined =
        Host::new().runtime.examine(None, ROUTER, Slot::InviteRouter, &Grants::default()).await.unwrap();

    let plugin = examined.plugin.unwrap();
    assert_eq!(examined.report.description.as_ref(), Some(plugin.description()));
    assert_eq!(examined.report.digest, plugin.digest());
}

fn judged(bytes: &[u8], slot: Slot) -> Report {
    report(bytes, slot, &Grants::default())
}

fn assert_refused(report: &Report, words: &str) {
    assert!(report.errors().any(|finding| finding.says.contains(words)), "{words}: {:?}", report.findings);
}

/// The same component with a name of the same length everywhere.
fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "lengths of names stand beside them");
    let mut renamed = bytes.to_vec();
    let places: Vec<_> = (0..bytes.len())
        .filter(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(from.as_bytes())))
        .collect();
    assert!(!places.is_empty(), "{from} stands in it");
    for at in places {
        renamed.get_mut(at..at + to.len()).unwrap().copy_from_slice(to.as_bytes());
    }
    renamed
}
