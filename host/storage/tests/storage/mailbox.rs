//! Sequence numbers, acknowledgement, loss, limits.

use switchhook_core::row::{MailboxState, Message, Write};
use switchhook_protocol::time::Timestamp;
use switchhook_storage::{StorageError, TenantStorage, limits};
use tokio::task::JoinSet;

use crate::fixture::{EARLIER, NOW, id, message, session, session_id};

on_each_database! {
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
                    assert_eq!(committed.devices_woken, [id("phone"), id("tablet")]);
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
        assert_eq!(state(&acme, NOW).await, standing(2, 0));
    }

    async fn delivery_beyond_the_end_says_nothing_about_later_messages(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        append(&acme, [message("phone", "first")]).await;
        acme.mailbox(&id("phone")).mark_delivered(9).await.unwrap();
        append(&acme, [message("phone", "second")]).await;

        let stored = acme.mailbox(&id("phone")).after(0, 10, NOW).await.unwrap();
        assert_eq!(stored.iter().map(|it| it.delivered).collect::<Vec<_>>(), [true, false]);
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
        assert_eq!(state(&acme, NOW).await, standing(7, 6));
    }

    async fn what_expires_is_not_shown_and_counts_as_lost(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        append(&acme, [message("phone", "lives"), expired("phone", "over"), message("phone", "lives-too")]).await;
        assert_eq!(held(&acme).await, ["1 lives", "3 lives-too"]);
        assert_eq!(state(&acme, NOW).await, standing(3, 2));

        let swept = fixture.storage.sweep(NOW).await.unwrap();
        assert_eq!(swept.messages, 1);
        assert!(!swept.more());
        assert_eq!(state(&acme, NOW).await, standing(3, 2));
        assert_eq!(fixture.storage.sweep(NOW).await.unwrap().messages, 0);
    }

    async fn a_full_mailbox_loses_its_oldest_messages_and_costs_nobody_else(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet"]).await;
        append(&acme, (0..limits::MAILBOX).map(|n| message("phone", &format!("n-{n}")))).await;
        assert_eq!(state(&acme, NOW).await, standing(limits::MAILBOX.into(), 0));

        append(&acme, [message("phone", "more"), message("tablet", "other"), message("phone", "last")]).await;

        let full = u64::from(limits::MAILBOX);
        let held = held(&acme).await;
        assert_eq!((held.len(), held.first().unwrap().as_str()), (usize::try_from(limits::MAILBOX).unwrap(), "3 n-2"));
        assert_eq!(held.last().unwrap(), &format!("{} last", full + 2));
        assert_eq!(state(&acme, NOW).await, standing(full + 2, 2), "whoever comes back is told");
    }

    async fn a_full_mailbox_drops_what_has_expired_first(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        append(&acme, [message("phone", "lives")]).await;
        append(&acme, (1..limits::MAILBOX).map(|n| expired("phone", &format!("n-{n}")))).await;

        append(&acme, [message("phone", "fits")]).await;

        let full = u64::from(limits::MAILBOX);
        assert_eq!(held(&acme).await, ["1 lives".to_owned(), format!("{} fits", full + 1)]);
        assert_eq!(state(&acme, EARLIER).await, standing(full + 1, full));
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

fn standing(last: u64, missing: u64) -> MailboxState {
    MailboxState { epoch: "epoch-1".parse().unwrap(), last_seq: last, lost_seq: missing }
}

fn expired(device: &str, name: &str) -> Message {
    Message { expires_at: EARLIER, ..message(device, name) }
}
