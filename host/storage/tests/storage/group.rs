//! Jobs of one group: each sees the earlier, none undoes another.

use switchhook_core::row::{InvitationState, LegState, TimerKind, Write};
use switchhook_storage::{Committed, StorageError, Transaction};

use crate::fixture::{
    EARLIER, Fixture, Held, LATER, NOW, due, id, invitation, leg, message, session, session_id, timer,
};

on_each_database! {
    async fn a_bad_job_does_not_undo_its_neighbours(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let writes = |name: &str| vec![Write::OpenSession(session(name)), Write::Append(message("phone", name))];
        let held = Held::hold(&acme).await;

        let (first, again, second, ()) = tokio::join!(
            acme.commit("invite", writes("first")),
            acme.commit("invite", writes("first")),
            acme.commit("invite", writes("second")),
            held.release(),
        );

        let stored = |seq, name| Committed { stored: vec![(id("phone"), message("phone", name).stored(seq))] };
        assert_eq!((first.unwrap(), second.unwrap()), (stored(1, "first"), stored(2, "second")));
        assert!(matches!(again, Err(StorageError::Conflict { .. })));
        let stored = acme.mailbox(&id("phone")).after(0, 10, NOW).await.unwrap();
        assert_eq!(stored.iter().map(|it| (it.seq, it.id.as_str())).collect::<Vec<_>>(), [(1, "first"), (2, "second")]);
    }

    async fn a_refused_job_leaves_no_gap_between_its_neighbours(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let held = Held::hold(&acme).await;
        let both = vec![Write::Append(message("phone", "lost")), Write::Append(message("nobody", "lost"))];

        let (first, refused, second, ()) = tokio::join!(
            acme.commit("invite", vec![Write::Append(message("phone", "first"))]),
            acme.commit("invite", both),
            acme.commit("invite", vec![Write::Append(message("phone", "second"))]),
            held.release(),
        );

        first.and(second).unwrap();
        assert!(matches!(refused, Err(StorageError::NoSuchDevice { .. })));
        let stored = acme.mailbox(&id("phone")).after(0, 10, NOW).await.unwrap();
        assert!(stored.iter().map(|it| it.seq).eq([1, 2]));
    }

    async fn a_closure_sees_earlier_jobs_and_its_own_writes(fixture) {
        let acme = fixture.acme();
        let held = Held::hold(&acme).await;

        let (committed, seen, ()) = tokio::join!(
            acme.commit("invite", vec![Write::OpenSession(session("call"))]),
            acme.run("look", async |tx| {
                let earlier = tx.session(&session_id("call")).await?.is_some();
                tx.apply(vec![Write::OpenInvitation(invitation("call", 0))]).await?;
                Ok::<_, StorageError>((earlier, tx.invitation(&session_id("call"), 0).await?.is_some()))
            }),
            held.release(),
        );

        committed.unwrap();
        assert_eq!(seen.unwrap(), (true, true));
    }

    async fn a_closure_that_fails_undoes_its_writes_alone(fixture) {
        #[derive(Debug)]
        struct Declined;
        impl From<StorageError> for Declined {
            fn from(error: StorageError) -> Self {
                panic!("{error}")
            }
        }
        let acme = fixture.acme();
        let held = Held::hold(&acme).await;

        let (before, failed, after, ()) = tokio::join!(
            acme.commit("invite", vec![Write::OpenSession(session("before"))]),
            acme.run("fail", async |tx| {
                tx.apply(vec![Write::OpenSession(session("undone"))]).await?;
                Err::<(), _>(Declined)
            }),
            acme.commit("invite", vec![Write::OpenSession(session("after"))]),
            held.release(),
        );

        before.and(after).unwrap();
        failed.unwrap_err();
        assert_eq!(opened(&fixture, ["before", "undone", "after"]).await, [true, false, true]);
    }

    async fn a_closure_that_passes_over_a_failed_write_keeps_nothing(fixture) {
        let acme = fixture.acme();
        acme.commit("invite", vec![Write::OpenSession(session("taken"))]).await.unwrap();

        let result = acme.run("careless", async |tx: &mut Transaction<'_>| {
            let both = vec![Write::OpenSession(session("new")), Write::OpenSession(session("taken"))];
            drop(tx.apply(both).await);
            Ok::<(), StorageError>(())
        });

        assert!(matches!(result.await, Err(StorageError::Conflict { .. })));
        assert_eq!(opened(&fixture, ["new"]).await, [false]);
    }

    async fn a_closure_that_panics_ends_alone(fixture) {
        let acme = fixture.acme();

        let panicked: Result<(), StorageError> = acme
            .run("panic", async |tx| {
                tx.apply(vec![Write::OpenSession(session("undone"))]).await?;
                panic!("a mistake in a closure")
            })
            .await;

        assert!(matches!(panicked, Err(StorageError::Abandoned)));
        acme.commit("invite", vec![Write::OpenSession(session("after"))]).await.unwrap();
        assert_eq!(opened(&fixture, ["undone", "after"]).await, [false, true]);
    }

    async fn jobs_that_are_applied_together_come_to_the_same_as_in_turn(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let set = |state| Write::SetLeg { session: session_id("call"), device: id("phone"), state, at: LATER };
        let call = session_id("call");
        let taken = Write::SetInvitation {
            session: call.clone(),
            user: 0,
            state: InvitationState::Taken,
            taken_by: Some(id("phone")),
        };
        let held = Held::hold(&acme).await;

        let (a, b, c, d, ()) = tokio::join!(
            acme.commit("early", vec![set(LegState::Stopped), Write::Arm(timer("call", TimerKind::Wave(1), NOW))]),
            acme.commit("invite", vec![
                Write::OpenSession(session("call")),
                Write::OpenInvitation(invitation("call", 0)),
                Write::OpenLeg(leg("call", "phone")),
            ]),
            acme.commit("take", vec![set(LegState::Rang), Write::Disarm(call.clone()), taken]),
            acme.commit("later", vec![
                set(LegState::Taken),
                Write::Arm(timer("call", TimerKind::RingEnd(0), EARLIER)),
                Write::Arm(timer("call", TimerKind::RingEnd(0), LATER)),
            ]),
            held.release(),
        );

        a.and(b).and(c).and(d).unwrap();
        let legs = acme.sessions().legs(&call).await.unwrap();
        assert_eq!(legs, [switchhook_core::row::Leg {
            state: LegState::Taken,
            changed_at: LATER,
            // What one batch does in two steps leaves both milestones.
            times: switchhook_core::row::Milestones { rang: Some(LATER), ended: Some(LATER), ..Default::default() },
            ..leg("call", "phone")
        }]);
        let invitations = acme.sessions().invitations(&call).await.unwrap();
        assert_eq!((invitations[0].state, &invitations[0].taken_by), (InvitationState::Taken, &Some(id("phone"))));
        let found = fixture.storage.timers().due(LATER, 10).await.unwrap();
        assert_eq!(found, [due(&acme, &timer("call", TimerKind::RingEnd(0), LATER), 0)]);
    }

    async fn who_waits_too_long_is_told_so_and_is_not_performed(fixture) {
        let acme = fixture.acme();
        let held = Held::hold(&acme).await;

        tokio::time::pause();
        let waited = acme.commit("invite", vec![Write::OpenSession(session("late"))]).await;
        tokio::time::resume();

        assert!(matches!(waited, Err(StorageError::Busy)));
        held.release().await;
        acme.commit("invite", vec![Write::OpenSession(session("next"))]).await.unwrap();
        assert_eq!(opened(&fixture, ["late", "next"]).await, [false, true]);
    }

    async fn commits_show_in_the_metrics(fixture) {
        let mut registry = prometheus_client::registry::Registry::default();
        fixture.storage.metrics().register(&mut registry);
        fixture.acme().commit("invite", vec![Write::OpenSession(session("call"))]).await.unwrap();

        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();

        for line in [
            r#"switchhook_storage_commit_seconds_count{transaction="invite"} 1"#,
            "switchhook_storage_group_jobs_count",
            "switchhook_storage_queue_jobs 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}

async fn opened<const N: usize>(fixture: &Fixture, names: [&str; N]) -> [bool; N] {
    let mut opened = [false; N];
    for (name, opened) in names.iter().zip(&mut opened) {
        *opened = fixture.acme().sessions().get(&session_id(name)).await.unwrap().is_some();
    }
    opened
}
