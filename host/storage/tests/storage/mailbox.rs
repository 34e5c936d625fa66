//! Sequence numbers, acknowledgement, loss, limits.

use switchhook_core::row::{MailboxState, Message, Write};
use switchhook_protocol::time::Timestamp;
use switchhook_storage::{StorageError, TenantStorage, limits};
use tokio::task::JoinSet;

use crate::fixture::{EARLIER, LATER, NOW, id, kept, message, message_id, session, session_id};

on_each_database! {
    async fn of_two_requests_with_one_key_one_is_kept_and_the_others_effects_are_not(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let ring = |name: &str| vec![Write::Append(message("phone", name)), Write::Keep(kept("key", name))];
        let neighbour = vec![Write::Append(message("phone", "other")), Write::Keep(kept("another", "other"))];

        let (first, second, other) = tokio::join!(
            acme.commit("invite", ring("first")),
            acme.commit("invite", ring("second")),
            acme.commit("invite", neighbour)
        );

        other.unwrap();
        let done = if first.is_ok() { "first" } else { "second" };
        let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert!(matches!(&refused[..], [StorageError::Conflict { .. }]), "{refused:?}");
        let answer = acme.answers().get(&id("phone"), &"key".parse().unwrap()).await.unwrap();
        assert_eq!(answer, Some(kept("key", done)));
        let stored = acme.mailbox(&id("phone")).after(0, 9, NOW).await.unwrap();
        let mut stored: Vec<_> = stored.iter().map(|it| it.id.clone()).collect();
        stored.sort();
        let mut expected = vec![message_id(done), message_id("other")];
        expected.sort();
        assert_eq!(stored, expected);
        assert_eq!(fixture.storage.sweep(NOW).await.unwrap().answers, 0);
        assert_eq!(fixture.storage.sweep(LATER).await.unwrap().answers, 2);
    }

    async fn sequences_have_no_gap_and_keep_each_senders_order(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet"]).await;

        let mut senders = JoinSet::new();
        for sender in 0..2 {
            let acme = acme.clone();
            senders.spawn(async move {
                for call in 0..200 {
                    let name = format!("{sender}-{call}");
                    let writes = ["tablet", "phone"].map(|device| Write::Append(message(device, &name)));
                    let committed = acme.commit("invite", writes.into()).await.unwrap();
                    let stored = committed.stored.into_iter().map(|(device, _)| device);
                    assert!(stored.eq([id("tablet"), id("phone")]));
                }
            });
        }
        senders.join_all().await;

        for device in ["phone", "tablet"] {
            let stored = acme.mailbox(&id(device)).after(0, 1_000, NOW).await.unwrap();
            assert!(stored.iter().map(|message| message.seq).eq(1..=400), "{device}");
            for sender in ["0-", "1-"] {
                let names = stored.iter().map(|message| message.id.as_str()).filter(|name| name.starts_with(sender));
                assert!(names.eq((0..200).map(|call| format!("{sender}{call}"))), "{device} {sender}");
            }
        }
    }

    async fn a_message_comes_back_as_it_was_until_it_is_acknowledged(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let phone = id("phone");
        let mailbox = acme.mailbox(&phone);
        append(&acme, [message("phone", "first"), message("phone", "second")]).await;

        mailbox.mark_delivered(1).await.unwrap();
        let stored = mailbox.after(0, 10, NOW).await.unwrap();
        assert_eq!(stored.iter().map(|it| (it.seq, it.delivered)).collect::<Vec<_>>(), [(1, true), (2, false)]);
        assert_eq!(stored[0].event, message("phone", "first").event);
        assert_eq!(mailbox.after(1, 10, NOW).await.unwrap(), stored[1..]);
        assert_eq!(mailbox.after(0, 1, NOW).await.unwrap(), stored[..1]);

        mailbox.acknowledge(1).await.unwrap();
        assert_eq!(mailbox.after(0, 10, NOW).await.unwrap(), stored[1..]);
        assert_eq!(state(&acme, NOW).await, standing(2, 2, 0));
    }

    async fn delivery_beyond_the_end_says_nothing_about_later_messages(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        append(&acme, [message("phone", "first")]).await;
        acme.mailbox(&id("phone")).mark_delivered(9).await.unwrap();
        append(&acme, [message("phone", "second")]).await;

        let stored = acme.mailbox(&id("phone")).after(0, 10, NOW).await.unwrap();
        assert_eq!(stored.iter().map(|it| it.delivered).collect::<Vec<_>>(), [true, false]);
    }

    async fn what_is_acknowledged_is_no_longer_the_first(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let first = async || state(&acme, NOW).await.first_seq;
        assert_eq!(first().await, None);
        append(&acme, [message("phone", "one"), message("phone", "two")]).await;
        assert_eq!(first().await, Some(1));

        acme.mailbox(&id("phone")).acknowledge(1).await.unwrap();
        assert_eq!(first().await, Some(2));
        acme.mailbox(&id("phone")).acknowledge(2).await.unwrap();
        assert_eq!(first().await, None);
    }

    async fn a_message_takes_the_place_of_an_undelivered_one_of_its_key(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let keyed = |name| Message { collapse_key: Some("relay".to_owned()), ..message("phone", name) };
        append(&acme, [keyed("sent")]).await;
        acme.mailbox(&id("phone")).mark_delivered(1).await.unwrap();

        append(&acme, [keyed("waits"), message("phone", "other")]).await;
        // Three of one key in one transaction: only the last stays.
        append(&acme, [keyed("a"), message("phone", "between"), keyed("b"), keyed("last")]).await;

        assert_eq!(held(&acme).await, ["1 sent", "3 other", "5 between", "7 last"]);
        assert_eq!(state(&acme, NOW).await, standing(1, 7, 6));
    }

    async fn what_expires_is_not_shown_and_counts_as_lost(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        append(&acme, [message("phone", "lives"), expired("phone", "over"), message("phone", "lives-too")]).await;
        assert_eq!(held(&acme).await, ["1 lives", "3 lives-too"]);
        assert_eq!(state(&acme, NOW).await, standing(1, 3, 2));

        let swept = fixture.storage.sweep(NOW).await.unwrap();
        assert_eq!(swept.messages, 1);
        assert!(!swept.more());
        assert_eq!(state(&acme, NOW).await, standing(1, 3, 2));
        assert_eq!(fixture.storage.sweep(NOW).await.unwrap().messages, 0);
    }

    async fn a_sweep_that_has_taken_its_portion_says_that_there_may_be_more(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        append(&acme, (0..=limits::SWEEP).map(|n| expired("phone", &format!("n-{n}")))).await;

        assert!(fixture.storage.sweep(NOW).await.unwrap().more());
        let rest = fixture.storage.sweep(NOW).await.unwrap();
        assert_eq!((rest.messages, rest.more()), (1, false));
    }

    async fn a_full_mailbox_loses_its_oldest_messages_and_costs_nobody_else(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet"]).await;
        append(&acme, (0..limits::MAILBOX).map(|n| message("phone", &format!("n-{n}")))).await;
        assert_eq!(state(&acme, NOW).await, standing(1, limits::MAILBOX.into(), 0));

        append(&acme, [message("phone", "more"), message("tablet", "other"), message("phone", "last")]).await;

        let full = u64::from(limits::MAILBOX);
        let held = held(&acme).await;
        assert_eq!((held.len(), held.first().unwrap().as_str()), (usize::try_from(limits::MAILBOX).unwrap(), "3 n-2"));
        assert_eq!(held.last().unwrap(), &format!("{} last", full + 2));
        assert_eq!(state(&acme, NOW).await, standing(3, full + 2, 2), "whoever comes back is told");
    }

    async fn a_full_mailbox_drops_what_has_expired_first(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        append(&acme, [message("phone", "lives")]).await;
        append(&acme, (1..limits::MAILBOX).map(|n| expired("phone", &format!("n-{n}")))).await;

        append(&acme, [message("phone", "fits")]).await;

        let full = u64::from(limits::MAILBOX);
        assert_eq!(held(&acme).await, ["1 lives".to_owned(), format!("{} fits", full + 1)]);
        assert_eq!(state(&acme, EARLIER).await, standing(1, full + 1, full));
    }

    async fn a_device_without_mailbox_is_refused_with_all_that_came_with_it(fixture) {
        let acme = fixture.acme();
        let writes = vec![Write::OpenSession(session("call")), Write::Append(message("nobody", "hello"))];

        let refused = acme.commit("invite", writes).await;

        assert!(matches!(refused, Err(StorageError::NoSuchDevice { device }) if device == id("nobody")));
        assert_eq!(acme.sessions().get(&session_id("call")).await.unwrap(), None);
        assert_eq!(acme.mailbox(&id("nobody")).state(NOW).await.unwrap(), None);
    }
}

async fn append(storage: &TenantStorage, messages: impl IntoIterator<Item = Message>) {
    storage.commit("append", messages.into_iter().map(Write::Append).collect()).await.unwrap();
}

async fn held(storage: &TenantStorage) -> Vec<String> {
    let stored = storage.mailbox(&id("phone")).after(0, 2_000, NOW).await.unwrap();
    stored.iter().map(|message| format!("{} {}", message.seq, message.id)).collect()
}

async fn state(storage: &TenantStorage, now: Timestamp) -> MailboxState {
    storage.mailbox(&id("phone")).state(now).await.unwrap().unwrap()
}

fn standing(first: u64, last: u64, missing: u64) -> MailboxState {
    let epoch = "epoch-1".parse().unwrap();
    MailboxState { epoch, last_seq: last, first_seq: Some(first), lost_seq: missing }
}

fn expired(device: &str, name: &str) -> Message {
    Message { expires_at: EARLIER, ..message(device, name) }
}
