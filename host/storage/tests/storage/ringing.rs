//! Sessions, invitations, legs and timers.

use std::sync::Arc;

use switchhook_core::row::{InvitationState, LegState, Participant, Timer, TimerKind, Write};
use switchhook_protocol::{id::DeviceId, time::Timestamp};
use switchhook_storage::{StorageError, TenantStorage, Transaction};
use tokio::sync::Barrier;

use crate::fixture::{
    EARLIER, LATER, NOW, due, id, invitation, leg, participant, registration, session, session_id, timer,
};

on_each_database! {
    async fn a_call_comes_back_as_it_was(fixture) {
        let acme = fixture.acme();
        open(&acme).await;
        let call = session_id("call");

        assert_eq!(acme.sessions().get(&call).await.unwrap(), Some(session("call")));
        assert_eq!(acme.sessions().invitations(&call).await.unwrap(), [invitation("call", 0), invitation("call", 1)]);
        assert_eq!(acme.sessions().legs(&call).await.unwrap(), [leg("call", "phone"), leg("call", "tablet")]);
        let other_user = acme.run("look", async |tx: &mut Transaction<'_>| {
            tx.legs_of(&session_id("call"), 1).await
        });
        assert_eq!(other_user.await.unwrap(), []);
    }

    async fn inv_6_of_two_devices_that_accept_at_once_one_is_taken(fixture) {
        let acme = fixture.acme();
        open(&acme).await;
        for _ in 0..20 {
            let ringing = Write::SetInvitation {
                session: session_id("call"),
                user: 0,
                state: InvitationState::Ringing,
                taken_by: None,
            };
            acme.commit("ring-again", vec![ringing]).await.unwrap();
            let start = Arc::new(Barrier::new(2));

            let (phone, tablet) = tokio::join!(
                take(&acme, id("phone"), Arc::clone(&start)),
                take(&acme, id("tablet"), start),
            );

            assert_ne!(phone, tablet);
            let stored = acme.sessions().invitations(&session_id("call")).await.unwrap();
            let winner = if phone { id("phone") } else { id("tablet") };
            assert_eq!(stored[0].taken_by, Some(winner));
        }
    }

    async fn a_ring_that_was_sent_moves_a_leg_that_waits_and_no_other(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet"]).await;
        open(&acme).await;
        let (session, device) = (session_id("call"), id("phone"));
        acme.commit("queue", vec![Write::SetLeg { session, device, state: LegState::Queued, at: EARLIER }]).await.unwrap();

        for device in ["phone", "tablet"] {
            acme.mailbox(&id(device)).mark_pushed(1, [session_id("call")], NOW).await.unwrap();
        }

        let legs = acme.sessions().legs(&session_id("call")).await.unwrap();
        let states: Vec<_> = legs.iter().map(|leg| (leg.device.as_str(), leg.state)).collect();
        assert_eq!(states, [("phone", LegState::Pushed), ("tablet", LegState::Planned)]);
    }

    async fn a_ring_that_was_sent_just_before_its_stop_is_known_to_have_been_sent(fixture) {
        for (sent, known) in [(NOW, Some(NOW)), (LATER, None)] {
            let (name, session) = (format!("call-{}", sent.as_millis()), session_id(&format!("call-{}", sent.as_millis())));
            let acme = fixture.acme();
            acme.commit("invite", vec![Write::OpenLeg(leg(&name, "phone"))]).await.unwrap();
            for (state, at) in [(LegState::Queued, EARLIER), (LegState::Stopped, NOW)] {
                let device = id("phone");
                acme.commit("stop", vec![Write::SetLeg { session: session.clone(), device, state, at }]).await.unwrap();
            }

            acme.mailbox(&id("phone")).mark_pushed(1, [session.clone()], sent).await.unwrap();

            let leg = acme.sessions().legs(&session).await.unwrap().remove(0);
            assert_eq!((leg.state, leg.changed_at, leg.times.pushed), (LegState::Stopped, NOW, known));
        }
    }

    async fn of_several_claims_of_a_timer_one_succeeds(fixture) {
        let acme = fixture.acme();
        let wave = timer("call", TimerKind::Wave(1), NOW);
        let end = timer("call", TimerKind::RingEnd(0), LATER);
        acme.commit("invite", vec![Write::Arm(end.clone()), Write::Arm(wave.clone())]).await.unwrap();
        let timers = fixture.storage.timers();
        assert_eq!(timers.next_due().await.unwrap(), Some(NOW));
        assert_eq!(timers.due(EARLIER, 10).await.unwrap(), []);
        assert_eq!(timers.due(NOW, 10).await.unwrap(), [due(&acme, &wave, 0)]);

        let (a, b) = tokio::join!(claim(&acme, &wave), claim(&acme, &wave));

        assert_ne!(a, b);
        assert_eq!(timers.next_due().await.unwrap(), Some(LATER));
        assert_eq!(timers.due(LATER, 10).await.unwrap(), [due(&acme, &end, 0)]);
    }

    async fn a_timer_that_is_put_off_stands_behind_the_others_and_begins_anew_when_it_is_armed(fixture) {
        let acme = fixture.acme();
        let (stuck, other) = (timer("call", TimerKind::Reroute(0), EARLIER), timer("call", TimerKind::Wave(1), NOW));
        acme.commit("invite", vec![Write::Arm(stuck.clone()), Write::Arm(other.clone())]).await.unwrap();
        let timers = fixture.storage.timers();
        assert_eq!(timers.due(NOW, 1).await.unwrap(), [due(&acme, &stuck, 0)]);

        put_off(&acme, &stuck, LATER).await;
        put_off(&acme, &stuck, LATER).await;

        assert_eq!(timers.due(NOW, 1).await.unwrap(), [due(&acme, &other, 0)]);
        let later = Timer { due_at: LATER, ..stuck.clone() };
        assert_eq!(timers.due(LATER, 9).await.unwrap(), [due(&acme, &other, 0), due(&acme, &later, 1)]);
        assert!(!claim(&acme, &stuck).await, "it is another time's");
        acme.commit("decline", vec![Write::Arm(stuck.clone())]).await.unwrap();
        assert_eq!(timers.due(EARLIER, 9).await.unwrap(), [due(&acme, &stuck, 0)]);
    }

    async fn a_timer_that_was_armed_anew_is_not_claimed_by_its_former_time(fixture) {
        let acme = fixture.acme();
        let former = timer("call", TimerKind::Wave(1), EARLIER);
        acme.commit("invite", vec![Write::Arm(former.clone())]).await.unwrap();
        acme.commit("postpone", vec![Write::Arm(timer("call", TimerKind::Wave(1), LATER))]).await.unwrap();

        assert!(!claim(&acme, &former).await);
        acme.commit("end", vec![Write::Disarm(session_id("call"))]).await.unwrap();
        assert_eq!(fixture.storage.timers().next_due().await.unwrap(), None);
    }

    async fn an_expired_session_is_forgotten_with_all_that_belongs_to_it(fixture) {
        let acme = fixture.acme();
        open(&acme).await;
        acme.commit("arm", vec![Write::Arm(timer("call", TimerKind::Wave(1), LATER))]).await.unwrap();

        assert_eq!(fixture.storage.sweep(NOW).await.unwrap().sessions, 0);
        assert_eq!(fixture.storage.sweep(LATER).await.unwrap().sessions, 1);

        let call = session_id("call");
        assert_eq!(acme.sessions().get(&call).await.unwrap(), None);
        assert_eq!(acme.sessions().invitations(&call).await.unwrap(), []);
        assert_eq!(acme.sessions().legs(&call).await.unwrap(), []);
        assert_eq!(fixture.storage.timers().next_due().await.unwrap(), None);
    }

    async fn a_session_runs_while_it_has_participants_and_is_kept_as_long(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet"]).await;
        open(&acme).await;
        let (call, late) = (session_id("call"), Timestamp::from_millis(LATER.as_millis() + 1));
        let joins = vec![
            Write::Join(participant("call", "phone")),
            Write::Join(Participant { user: Some(0), joined_at: LATER, ..participant("call", "tablet") }),
        ];
        acme.commit("join", joins).await.unwrap();
        // Who takes part already stays as it is.
        let again = Participant { joined_at: LATER, ..participant("call", "phone") };
        acme.commit("join", vec![Write::Join(again)]).await.unwrap();

        let joined = acme.sessions().participants(&call).await.unwrap();
        assert!(joined.iter().map(|it| (it.device.as_str(), it.user, it.joined_at))
            .eq([("phone", None, NOW), ("tablet", Some(0), LATER)]));
        assert_eq!(fixture.storage.sweep(late).await.unwrap().sessions, 0);

        let (session, left) = (call.clone(), |device| Write::Leave { session: call.clone(), device: id(device) });
        let writes = vec![left("phone"), Write::SetGeneration { session, generation: 2 }];
        acme.commit("leave", writes).await.unwrap();
        assert_eq!(acme.sessions().get(&call).await.unwrap().unwrap().generation, 2);
        // Whoever joins and leaves in one transaction is gone.
        let writes = vec![Write::Join(participant("call", "phone")), left("phone"), left("tablet")];
        acme.commit("leave", writes).await.unwrap();
        assert_eq!(acme.sessions().participants(&call).await.unwrap(), []);
        assert_eq!(fixture.storage.sweep(late).await.unwrap().sessions, 1);
    }

    async fn the_longest_unseen_participants_are_found_first(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet"]).await;
        open(&acme).await;
        let joins = ["phone", "tablet"].map(|device| Write::Join(participant("call", device)));
        acme.commit("join", joins.to_vec()).await.unwrap();
        let seen = |at| Write::Seen { session: session_id("call"), device: id("phone"), at };
        acme.commit("seen", vec![seen(LATER), seen(EARLIER)]).await.unwrap();

        let unseen = async |since| fixture.storage.unseen(since, 9).await.unwrap();

        let devices = |found: Vec<(_, Participant)>| -> Vec<String> {
            found.into_iter().map(|(_, it)| it.device.to_string()).collect()
        };
        assert_eq!(devices(unseen(NOW).await), ["tablet"]);
        assert_eq!(devices(unseen(LATER).await), ["tablet", "phone"]);
        assert_eq!(devices(unseen(EARLIER).await), Vec::<String>::new());
    }

    async fn a_device_finds_its_running_sessions_and_those_of_its_identifiers(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet", "stranger"]).await;
        open(&acme).await;
        let rang = Write::SetLeg {
            session: session_id("call"),
            device: id("phone"),
            state: LegState::Rang,
            at: NOW,
        };
        acme.commit("join", vec![rang, Write::Join(participant("call", "phone"))]).await.unwrap();
        acme.run("register", async |tx| tx.bind(&registration("tablet")).await).await.unwrap();

        for (device, sessions) in [("phone", 1), ("tablet", 1), ("stranger", 0)] {
            assert_eq!(acme.sessions().of_device(&id(device), 9).await.unwrap().len(), sessions, "{device}");
        }
        let until = |found: Vec<(_, Timestamp)>| found.into_iter().map(|(_, until)| until).collect::<Vec<_>>();
        assert_eq!(until(acme.sessions().ringing(&id("phone"), NOW, 9).await.unwrap()), [LATER]);
        assert_eq!(until(acme.sessions().ringing(&id("phone"), LATER, 9).await.unwrap()), []);
        assert_eq!(until(acme.sessions().ringing(&id("stranger"), NOW, 9).await.unwrap()), []);
    }
}

pub(crate) async fn open(storage: &TenantStorage) {
    let writes = vec![
        Write::OpenSession(session("call")),
        Write::OpenInvitation(invitation("call", 1)),
        Write::OpenInvitation(invitation("call", 0)),
        Write::OpenLeg(leg("call", "tablet")),
        Write::OpenLeg(leg("call", "phone")),
    ];
    storage.commit("invite", writes).await.unwrap();
}

/// The compare-and-set of an accept; says whether this device was taken.
pub(crate) async fn take(storage: &TenantStorage, device: DeviceId, start: Arc<Barrier>) -> bool {
    start.wait().await;
    let taken = storage.run("take", async move |tx| {
        let session = session_id("call");
        let invitation = tx.invitation(&session, 0).await?.unwrap();
        if invitation.state != InvitationState::Ringing {
            return Ok(false);
        }
        let state = InvitationState::Taken;
        tx.apply(vec![Write::SetInvitation { session, user: 0, state, taken_by: Some(device) }]).await?;
        Ok::<_, StorageError>(true)
    });
    taken.await.unwrap()
}

pub(crate) async fn claim(storage: &TenantStorage, timer: &Timer) -> bool {
    let timer = timer.clone();
    storage.run("claim", async move |tx| tx.claim_timer(&timer).await).await.unwrap()
}

async fn put_off(storage: &TenantStorage, timer: &Timer, until: Timestamp) {
    let timer = timer.clone();
    storage.run("put-off", async move |tx| tx.put_off_timer(&timer, until).await).await.unwrap();
}
