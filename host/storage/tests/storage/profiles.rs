//! Users, profiles, what they keep of devices, credentials and deadlines.

use switchhook_core::row::{Deadline, IssuedCredentials, Registration, User, UserState};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{AttemptId, DeviceId},
    registration::{AddressState, Scope},
};
use switchhook_storage::{DueDeadline, StorageError, TenantStorage, Transaction, limits};

use crate::fixture::{
    EARLIER, LATER, NOW, alice, credentials, deadline, id, profile, registration, tenant, user,
};

on_each_database! {
    async fn reg_6_a_user_is_added_once_changed_and_removed(fixture) {
        let acme = fixture.acme();
        let add = async |user: User| acme.run("add", async move |tx| tx.add_user(&user).await).await.unwrap();
        assert!(add(user("hash")).await);
        assert!(!add(user("another")).await);
        assert_eq!(acme.users().get(&alice()).await.unwrap(), Some(user("hash")));

        let changed = acme.run("change", async |tx| {
            let known = tx.set_password(&alice(), "newer", LATER).await?;
            Ok::<_, StorageError>((known, tx.set_user(&alice(), &[], UserState::Blocked).await?))
        });
        assert_eq!(changed.await.unwrap(), (true, true));
        let expected = User {
            password: "newer".to_owned(), addresses: vec![], state: UserState::Blocked, changed_at: LATER, ..user("")
        };
        assert_eq!(acme.users().list(None, 9).await.unwrap(), [expected]);
        assert_eq!(acme.users().list(Some(&alice()), 9).await.unwrap(), []);

        let remove = async || acme.run("remove", async |tx| tx.remove_user(&alice()).await).await.unwrap();
        assert_eq!((remove().await, remove().await), (true, false));
    }

    async fn reg_6_a_user_has_one_profile(fixture) {
        let acme = fixture.acme();
        let of = async |new: &str| {
            let new = new.parse().unwrap();
            acme.run("profile", async move |tx| tx.profile_of(&alice(), new).await).await.unwrap()
        };
        assert_eq!(of("p-1").await, of("p-2").await);
        assert_eq!(acme.profiles().of_user(&alice()).await.unwrap().unwrap().id, profile());
        assert_eq!(acme.profiles().get(&profile()).await.unwrap().unwrap().user, alice());
    }

    async fn reg_7_what_is_validated_stays_so_and_a_profile_has_so_many_addresses(fixture) {
        let acme = fixture.acme();
        for state in [AddressState::Asked, AddressState::Declined, AddressState::Validated, AddressState::Asked] {
            set(&acme, &bob(), state).await;
        }
        assert_eq!(acme.profiles().addresses(&profile()).await.unwrap(), [(bob(), AddressState::Validated)]);
        let many = acme.run("fill", async |tx| {
            for number in 1..limits::ADDRESSES {
                assert!(tx.set_address(&profile(), &numbered(number), AddressState::Asked).await?, "{number}");
            }
            tx.set_address(&profile(), &numbered(limits::ADDRESSES), AddressState::Asked).await
        });
        assert!(!many.await.unwrap());
    }

    async fn reg_8_each_device_that_asked_is_told_once_and_no_other(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet", "watch"]).await;
        ask(&acme, "phone", "a-1").await;
        ask(&acme, "tablet", "a-2").await;

        assert_eq!(tell(&acme, None).await, [(id("phone"), "a-1".parse().unwrap()), (id("tablet"), "a-2".parse().unwrap())]);
        assert_eq!(tell(&acme, None).await, []);

        // Whoever asks again hears again.
        ask(&acme, "phone", "a-3").await;
        ask(&acme, "watch", "a-4").await;
        assert_eq!(tell(&acme, Some(id("watch"))).await, [(id("watch"), "a-4".parse().unwrap())]);
        assert_eq!(tell(&acme, None).await, [(id("phone"), "a-3".parse().unwrap())]);
    }

    async fn reg_17_a_profile_keeps_when_a_device_asked_was_told_and_registered(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet"]).await;
        ask(&acme, "phone", "a-1").await;
        tell(&acme, None).await;
        // The tablet's user has proven the address by the phone: it did not ask.
        for (device, attempt) in [("phone", "a-2"), ("tablet", "a-3")] {
            let of = (id(device), attempt.parse().unwrap());
            acme.run("register", async move |tx| {
                tx.register_address((&profile(), &bob()), (&of.0, &of.1), LATER).await
            })
            .await
            .unwrap();
        }

        let kept = acme.profiles().devices(&profile()).await.unwrap();
        let kept: Vec<_> = kept.iter().map(|it| (it.asked_at, it.told_at, it.registered_at)).collect();
        assert_eq!(kept, [(NOW, Some(NOW), Some(LATER)), (LATER, Some(LATER), Some(LATER))]);
        assert_eq!(tell(&acme, None).await, [], "who did not ask is not told");
        acme.run("forget", async |tx| tx.forget_address((&profile(), &bob()), &id("tablet")).await).await.unwrap();

        acme.run("unregister", async |tx| tx.unregister_address(&id("phone"), &bob()).await).await.unwrap();
        assert_eq!(acme.profiles().devices(&profile()).await.unwrap()[0].registered_at, None);
        acme.run("forget", async |tx| tx.forget_address((&profile(), &bob()), &id("phone")).await).await.unwrap();
        assert_eq!(acme.profiles().devices(&profile()).await.unwrap(), []);
    }

    async fn reg_9_the_newest_credentials_of_a_kind_count_until_they_are_revoked(fixture) {
        let acme = fixture.acme();
        put(&acme, credentials("s-1")).await;
        put(&acme, credentials("s-2")).await;
        let login = IssuedCredentials { scope: Scope::Login, ..credentials("s-3") };
        put(&acme, login.clone()).await;

        assert!(!acme.counts(&credentials("s-1")).await.unwrap());
        assert!(acme.counts(&credentials("s-2")).await.unwrap());
        assert!(acme.counts(&login).await.unwrap());
        let stolen = IssuedCredentials { device: id("tablet"), ..login.clone() };
        assert!(!acme.counts(&stolen).await.unwrap());
        assert!(!fixture.storage.of(&tenant("other")).counts(&login).await.unwrap());

        let revoked = acme.run("revoke", async |tx| tx.revoke_credentials(&profile()).await);
        assert_eq!(revoked.await.unwrap(), 2);
        assert!(!acme.counts(&login).await.unwrap());
    }

    async fn reg_9_credentials_that_are_over_are_swept(fixture) {
        let acme = fixture.acme();
        put(&acme, credentials("s-1")).await;
        assert_eq!(fixture.storage.sweep(NOW).await.unwrap().credentials, 0);
        assert_eq!(fixture.storage.sweep(LATER).await.unwrap().credentials, 1);
    }

    async fn reg_11_one_more_proof_concerns_the_devices_of_others_those_that_proved_it_last_first(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet", "watch"]).await;
        for (name, at) in [("phone", NOW), ("tablet", LATER), ("watch", LATER)] {
            let row = Registration { registered_at: at, ..registration(name) };
            acme.run("bind", async move |tx| tx.bind(&row).await).await.unwrap();
        }
        let others = async |limit| {
            let watch = registration("watch");
            acme.run("others", async move |tx| tx.others(&watch, limit).await).await.unwrap()
        };
        assert_eq!(others(9).await, ["tablet", "phone"].map(id));
        assert_eq!(others(1).await, [id("tablet")]);

        // These two speak for one profile.
        ask(&acme, "phone", "attempt-1").await;
        ask(&acme, "watch", "attempt-2").await;
        assert_eq!(others(9).await, [id("tablet")]);
    }

    async fn an_attempts_deadline_is_claimed_once_and_the_last_one_counts(fixture) {
        let acme = fixture.acme();
        let put = async |due_at| {
            acme.run("put", async move |tx| tx.put_deadline(&Deadline { due_at, ..deadline() }).await).await.unwrap();
        };
        put(EARLIER).await;
        put(NOW).await;
        assert_eq!(fixture.storage.due_deadlines(EARLIER, 9).await.unwrap(), []);
        assert_eq!(fixture.storage.next_deadline().await.unwrap(), Some(NOW));
        let due = Deadline { due_at: NOW, ..deadline() };
        let expected = DueDeadline { tenant: tenant("acme"), deadline: due.clone() };
        assert_eq!(fixture.storage.due_deadlines(NOW, 9).await.unwrap(), [expected]);

        let claim = async |due: Deadline| {
            acme.run("claim", async move |tx| tx.claim_deadline(&due).await).await.unwrap()
        };
        assert!(!claim(Deadline { due_at: EARLIER, ..deadline() }).await);
        assert_eq!((claim(due.clone()).await, claim(due).await), (true, false));
        assert_eq!(fixture.storage.next_deadline().await.unwrap(), None);
    }
}

async fn put(storage: &TenantStorage, issued: IssuedCredentials) {
    storage.run("issue", async move |tx| tx.put_credentials(&issued).await).await.unwrap();
}

async fn set(storage: &TenantStorage, address: &EndpointId, state: AddressState) {
    let address = address.clone();
    let set = async move |tx: &mut Transaction<'_>| tx.set_address(&profile(), &address, state).await;
    assert!(storage.run("set", set).await.unwrap());
}

async fn ask(storage: &TenantStorage, device: &str, attempt: &str) {
    let (device, attempt): (DeviceId, AttemptId) = (id(device), attempt.parse().unwrap());
    let ask = async move |tx: &mut Transaction<'_>| {
        tx.ask_address((&profile(), &bob()), (&device, &attempt), NOW).await
    };
    storage.run("ask", ask).await.unwrap();
}

/// Who is told, and in which attempt.
async fn tell(storage: &TenantStorage, device: Option<DeviceId>) -> Vec<(DeviceId, AttemptId)> {
    let tell = async move |tx: &mut Transaction<'_>| {
        tx.tell_address((&profile(), &bob()), device.as_ref(), NOW).await
    };
    let mut told: Vec<_> = storage
        .run("tell", tell)
        .await
        .unwrap()
        .into_iter()
        .map(|told| (told.device, told.attempt))
        .collect();
    told.sort();
    told
}

fn bob() -> EndpointId {
    "bob@example.org".parse().unwrap()
}

fn numbered(number: u32) -> EndpointId {
    format!("bob{number}@example.org").parse().unwrap()
}
