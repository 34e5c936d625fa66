//! Tenants are walls: the same ids in two tenants never meet.

use switchhook_core::{
    policy::{Slot, registration::Pair},
    row::{
        InvitationState, Leg, LegState, OutboxState, SecretKind, TimerKind, UserState, VersionState, Write,
    },
};
use switchhook_protocol::{endpoint::EndpointId, id::DeviceId, registration::AddressState};
use switchhook_storage::{AuditEntry, PluginLine, PutAttempt, StorageError, TenantStorage, Transaction};

use crate::{
    fixture::{
        LATER, NOW, alice, attempt, credentials, deadline, decision, enrol, entry, forward, gateway, id,
        invitation, kept, leg, message, message_id, participant, profile, push_token_hash, registration,
        secret, session, session_id, tenant, timer, transit_answer, user, validation,
    },
    operator::version,
};

on_each_database! {
    async fn another_tenant_sees_nothing(fixture) {
        let (acme, other) = (fixture.acme(), fixture.storage.of(&tenant("other")));
        fill(&acme).await;

        assert_eq!(seen(&other).await, Vec::<&str>::new());
        assert_eq!(seen(&acme).await.len(), 47);
    }

    async fn another_tenant_changes_nothing(fixture) {
        let (acme, other) = (fixture.acme(), fixture.storage.of(&tenant("other")));
        fill(&acme).await;

        change_everything(&other).await;

        let call = session_id("call");
        assert_eq!(acme.sessions().legs(&call).await.unwrap(), [leg("call", "phone"), missed()]);
        assert_eq!(acme.sessions().invitations(&call).await.unwrap(), [invitation("call", 0)]);
        assert_eq!(acme.sessions().participants(&call).await.unwrap(), [participant("call", "phone")]);
        assert_eq!(acme.sessions().get(&call).await.unwrap(), Some(session("call")));
        let stored = acme.mailbox(&id("phone")).after(0, 9, NOW).await.unwrap();
        assert!(stored.iter().map(|it| (it.seq, it.delivered)).eq([(1, false)]));
        assert_eq!(fixture.storage.timers().next_due().await.unwrap(), Some(LATER));
        assert!(acme.devices().by_push_token(&push_token_hash("phone")).await.unwrap().is_some());
        let left = acme.run("look", async |tx| tx.secret("code", SecretKind::Code).await);
        assert_eq!(left.await.unwrap(), Some(secret("code")));
        let entry = acme.outbox_entry(&message_id("text")).await.unwrap().unwrap();
        assert_eq!(entry.state, OutboxState::Queued);
    }

    async fn the_same_ids_live_in_two_tenants(fixture) {
        let (acme, other) = (fixture.acme(), fixture.storage.of(&tenant("other")));
        fill(&acme).await;
        fill(&other).await;

        change_everything(&other).await;

        assert_eq!(seen(&acme).await.len(), 47);
        let call = session_id("call");
        assert_eq!(acme.sessions().legs(&call).await.unwrap(), [leg("call", "phone"), missed()]);
        assert_eq!(other.sessions().legs(&call).await.unwrap()[0].state, LegState::Stopped);
        assert_eq!(acme.mailbox(&id("phone")).after(0, 9, NOW).await.unwrap().len(), 1);
        assert_eq!(other.mailbox(&id("phone")).after(0, 9, NOW).await.unwrap().len(), 0);
    }

    async fn one_group_keeps_the_tenants_of_its_jobs_apart(fixture) {
        let (acme, other) = (fixture.acme(), fixture.storage.of(&tenant("other")));
        for tenant in [&acme, &other] {
            enrol(tenant, "phone").await;
        }
        let held = crate::fixture::Held::hold(&acme).await;
        let writes = |name| vec![Write::OpenSession(session("call")), Write::Append(message("phone", name))];

        let (a, b, ()) = tokio::join!(
            acme.commit("invite", writes("to-acme")),
            other.commit("invite", writes("to-other")),
            held.release(),
        );

        a.and(b).unwrap();
        for (tenant, name) in [(&acme, "to-acme"), (&other, "to-other")] {
            let stored = tenant.mailbox(&id("phone")).after(0, 9, NOW).await.unwrap();
            assert!(stored.iter().map(|it| (it.seq, it.id.as_str())).eq([(1, name)]));
        }
    }
}

/// One row into every table.
pub(crate) async fn fill(storage: &TenantStorage) {
    enrol(storage, "phone").await;
    let writes = vec![
        Write::OpenSession(session("call")),
        Write::OpenInvitation(invitation("call", 0)),
        Write::OpenLeg(leg("call", "phone")),
        Write::Join(participant("call", "phone")),
        Write::OpenSession(session("rings")),
        Write::OpenLeg(Leg { state: LegState::Rang, ..leg("rings", "phone") }),
        Write::OpenLeg(missed()),
        Write::Forward(forward("call", "carol")),
        Write::Decide { session: session_id("call"), decision: decision("ring") },
        Write::Append(message("phone", "ring")),
        Write::Arm(timer("call", TimerKind::RingEnd(0), LATER)),
        Write::Enqueue(entry("text", NOW)),
        Write::Keep(kept("key", "{}")),
    ];
    storage.commit("invite", writes).await.unwrap();
    storage
        .run("fill", async |tx| {
            tx.bind(&registration("phone")).await?;
            let stored = tx.put_attempt(&attempt("attempt-1", "key"), 0, NOW).await?;
            assert_eq!(stored, PutAttempt::Stored(1));
            tx.put_secret(&secret("code")).await?;
            tx.put_gateway(&gateway("transit")).await?;
            tx.put_transit_answer(&transit_answer("m-1")).await?;
            tx.put_artifact(&[1; 32], vec![1]).await?;
            tx.put_plugin_version(&version(1, VersionState::Active)).await?;
            tx.put_plugin_grants(Slot::InviteRouter, "mine", "{}").await?;
            tx.append_plugin_lines(Slot::InviteRouter, "mine", &[line()]).await?;
            tx.put_pair(&pair(Some(1))).await?;
            fill_profile(tx).await?;
            assert!(tx.block(&alice(), &bob(), NOW).await?);
            tx.audit(&audit()).await
        })
        .await
        .unwrap();
}

/// The same rows, changed by every means that there is.
pub(crate) async fn change_everything(storage: &TenantStorage) {
    let (session, device) = (session_id("call"), id("phone"));
    storage.mailbox(&device).mark_delivered(9).await.unwrap();
    storage.mailbox(&device).acknowledge(9).await.unwrap();
    let state = InvitationState::Cancelled;
    let writes = vec![
        Write::SetInvitation { session: session.clone(), user: 0, state, taken_by: None },
        Write::SetLeg {
            session: session.clone(),
            device: device.clone(),
            state: LegState::Stopped,
            at: LATER,
        },
        Write::Seen { session: session.clone(), device: device.clone(), at: LATER },
        Write::SetGeneration { session: session.clone(), generation: 7 },
        Write::SetCourse { session: session.clone(), user: 0, course: Some("sealed".to_owned()) },
        Write::RingUntil { session: session.clone(), user: 0, until: NOW },
        Write::Leave { session: session.clone(), device: device.clone() },
        Write::Disarm(session.clone()),
    ];
    storage.commit("cancel", writes).await.unwrap();
    storage
        .run("change", async move |tx| {
            tx.set_push_token(&device, &[9; 32], (LATER, None)).await?;
            tx.put_off_timer(&timer("call", TimerKind::RingEnd(0), LATER), LATER).await?;
            tx.unblock(&alice(), &bob()).await?;
            tx.claim_timer(&timer("call", TimerKind::RingEnd(0), LATER)).await?;
            tx.wrong_try("code", SecretKind::Code).await?;
            tx.use_secret("code", SecretKind::Code, NOW).await?;
            tx.move_outbox(&message_id("text"), &[OutboxState::Queued], OutboxState::Failed).await?;
            tx.put_pair(&pair(None)).await?;
            tx.set_password(&alice(), "hash", NOW).await?;
            tx.set_user(&alice(), &[], UserState::Blocked).await?;
            tx.unregister_address(&id("phone"), &alice()).await?;
            tx.tell_address((&profile(), &alice()), None, NOW).await?;
            tx.forget_address((&profile(), &alice()), &id("phone")).await?;
            tx.claim_deadline(&deadline()).await?;
            tx.remove_profile(&profile()).await?;
            tx.remove_user(&alice()).await?;
            tx.set_plugin_version(&version(1, VersionState::Killed)).await?;
            let _step = tx.put_attempt(&attempt("attempt-1", "key"), 1, NOW).await?;
            Ok::<_, StorageError>(())
        })
        .await
        .unwrap();
}

/// Every read of a tenant, by name, that gives the row of [`fill`].
pub(crate) async fn seen(storage: &TenantStorage) -> Vec<&'static str> {
    let (call, phone) = (session_id("call"), id("phone"));
    let transit = "transit".parse().unwrap();
    let sms = "sms".parse().unwrap();
    let application = "phone".parse().unwrap();
    let phone_user = "carol".parse().unwrap();
    let inside = seen_inside(storage, phone.clone()).await;
    let outside = [
        ("device", storage.devices().get(&phone).await.unwrap().is_some()),
        ("push token", storage.devices().by_push_token(&push_token_hash("phone")).await.unwrap().is_some()),
        (
            "targets",
            !storage.registrations().of_endpoints(&application, &[alice()]).await.unwrap().is_empty(),
        ),
        ("of device", !storage.registrations().of_device(&phone).await.unwrap().is_empty()),
        ("holds", storage.registrations().holds(&phone, &alice()).await.unwrap()),
        ("attempt", storage.attempts().get(&"attempt-1".parse().unwrap()).await.unwrap().is_some()),
        ("by key", storage.attempts().by_key(&sms, "key", NOW).await.unwrap().is_some()),
        ("mailbox", storage.mailbox(&phone).state(NOW).await.unwrap().is_some()),
        ("messages", !storage.mailbox(&phone).after(0, 9, NOW).await.unwrap().is_empty()),
        ("session", storage.sessions().get(&call).await.unwrap().is_some()),
        ("invitations", !storage.sessions().invitations(&call).await.unwrap().is_empty()),
        ("participants", !storage.sessions().participants(&call).await.unwrap().is_empty()),
        ("running", !storage.sessions().of_device(&phone, 9).await.unwrap().is_empty()),
        ("of endpoint", !storage.sessions().of_endpoint(&alice(), 9).await.unwrap().is_empty()),
        ("reached by", !storage.registrations().reached_by(&alice()).await.unwrap().is_empty()),
        ("ringing", !storage.sessions().ringing(&phone, NOW, 9).await.unwrap().is_empty()),
        ("missed", !storage.sessions().missed(&id("tablet"), NOW, 9).await.unwrap().is_empty()),
        (
            "rung by",
            !storage.registrations().rung_by(&phone_user, &application, &[alice()]).await.unwrap().is_empty(),
        ),
        (
            "rung from",
            storage.registrations().rung_from(&phone, &alice(), &application, &[]).await.unwrap().is_some(),
        ),
        ("blocked", !storage.blocks().of(&alice()).await.unwrap().is_empty()),
        ("forwards", !storage.sessions().forwards(&call).await.unwrap().is_empty()),
        ("decisions", !storage.sessions().decisions(&call).await.unwrap().is_empty()),
        ("legs", !storage.sessions().legs(&call).await.unwrap().is_empty()),
        ("kept", storage.answers().get(&phone, &"key".parse().unwrap()).await.unwrap().is_some()),
        ("outbox", storage.outbox_entry(&message_id("text")).await.unwrap().is_some()),
        ("gateway", storage.gateways().get(&transit).await.unwrap().is_some()),
        ("gateways", !storage.gateways().list().await.unwrap().is_empty()),
        ("answer", storage.gateways().answer(&transit, "m-1").await.unwrap().is_some()),
        ("artifact", storage.plugins().artifact(&[1; 32]).await.unwrap().is_some()),
        ("plugins", !storage.plugins().list().await.unwrap().is_empty()),
        ("loaded", !storage.plugins().loaded().await.unwrap().is_empty()),
        ("grants", !storage.plugins().grants().await.unwrap().is_empty()),
        ("lines", !storage.plugin_log(Slot::InviteRouter, "mine").after(0, 9).await.unwrap().is_empty()),
        ("pairs", !storage.pairs().all().await.unwrap().is_empty()),
        ("audit", !storage.audit().after(0, 9).await.unwrap().is_empty()),
        ("in a transaction", inside == 17),
    ];
    assert!(matches!(inside, 0 | 17), "{inside}");
    let of_profiles = Box::pin(seen_of_profiles(storage, phone)).await;
    outside.into_iter().chain(of_profiles).filter(|(_, seen)| *seen).map(|(name, _)| name).collect()
}

/// The same of users and profiles.
async fn seen_of_profiles(storage: &TenantStorage, phone: DeviceId) -> [(&'static str, bool); 11] {
    [
        ("user", storage.users().get(&alice()).await.unwrap().is_some()),
        ("users", !storage.users().list(None, 9).await.unwrap().is_empty()),
        ("profile", storage.profiles().get(&profile()).await.unwrap().is_some()),
        ("profile of user", storage.profiles().of_user(&alice()).await.unwrap().is_some()),
        ("addresses", !storage.profiles().addresses(&profile()).await.unwrap().is_empty()),
        ("devices of addresses", !storage.profiles().devices(&profile()).await.unwrap().is_empty()),
        ("known device", storage.profiles().is_known(&phone, &alice()).await.unwrap()),
        ("credentials", storage.counts(&credentials("s-1")).await.unwrap()),
        (
            "validation",
            storage.validation(&"phone".parse().unwrap(), &"order".parse().unwrap()).await.unwrap().is_some(),
        ),
        ("of attempt", storage.validation_of(&validation("order").attempt).await.unwrap().is_some()),
        ("of credentials", !storage.person(&alice()).await.unwrap().profiles.is_empty()),
    ]
}

/// How many of the reads inside a transaction give the row of [`fill`].
async fn seen_inside(storage: &TenantStorage, phone: DeviceId) -> usize {
    let seen = storage.run("look", async move |tx| {
        let (call, transit) = (session_id("call"), "transit".parse().unwrap());
        let sms = "sms".parse().unwrap();
        let seen = [
            tx.device(&phone).await?.is_some(),
            tx.device_by_push_token(&push_token_hash("phone")).await?.is_some(),
            !tx.targets(&"phone".parse().unwrap(), &[alice()]).await?.is_empty(),
            !tx.endpoints_of(&phone).await?.is_empty(),
            tx.attempt(&"attempt-1".parse().unwrap()).await?.is_some(),
            tx.attempt_by_key(&sms, "key", NOW).await?.is_some(),
            tx.secret("code", SecretKind::Code).await?.is_some(),
            tx.session(&call).await?.is_some(),
            !tx.ringing_for((&"phone".parse().unwrap(), &alice()), NOW, 9).await?.is_empty(),
            tx.invitation(&call, 0).await?.is_some(),
            !tx.invitations(&call).await?.is_empty(),
            !tx.participants(&call).await?.is_empty(),
            !tx.legs(&call).await?.is_empty() && !tx.legs_of(&call, 0).await?.is_empty(),
            tx.size_of_pairs().await? == 4,
            !tx.plugin_versions(Slot::RegistrationMethod, "sms").await?.is_empty(),
            !tx.all_plugin_versions().await?.is_empty(),
            tx.gateway(&transit).await?.is_some() && tx.transit_answer(&transit, "m-1").await?.is_some(),
        ];
        Ok::<_, StorageError>(seen.into_iter().filter(|seen| *seen).count())
    });
    seen.await.unwrap()
}

async fn fill_profile(tx: &mut Transaction<'_>) -> Result<(), StorageError> {
    assert!(tx.add_user(&user("alice's")).await?);
    assert_eq!(tx.profile_of(&alice(), profile()).await?, profile());
    let about = (&profile(), &alice());
    assert!(tx.set_address(about.0, about.1, AddressState::Asked).await?);
    tx.ask_address(about, (&id("phone"), &"attempt-1".parse().unwrap()), NOW).await?;
    tx.put_credentials(&credentials("s-1")).await?;
    tx.put_validation(&validation("order")).await?;
    tx.put_deadline(&deadline()).await
}

fn pair(value: Option<u8>) -> Pair {
    Pair { key: "vip".to_owned(), value: value.map(|byte| vec![byte]) }
}

/// A ring that was over before it was sent.
fn missed() -> Leg {
    Leg { state: LegState::Queued, lease_until: NOW, ..leg("call", "tablet") }
}

fn bob() -> EndpointId {
    "bob".parse().unwrap()
}

fn line() -> PluginLine {
    let (subject, level, text) = ("call".to_owned(), "info".to_owned(), "hunting".to_owned());
    PluginLine { at: NOW, version: 1, subject, level, text }
}

fn audit() -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: "operator".to_owned(),
        action: "activate".to_owned(),
        subject: "ring-all".to_owned(),
        detail: String::new(),
    }
}
