//! A copy beside a writer, and what a database that came back tells.

use switchhook_core::row::{OutboxEntry, OutboxKind, OutboxState, Write};
use switchhook_storage::{Adopted, CopyError, Storage, copy, verify, yardstick};

use crate::fixture::{Fixture, NOW, entry, id, message_id, node, session_id, settings};

on_each_database! {
    async fn a_database_that_came_back_has_new_epochs_and_its_waiting_texts_and_mails_are_in_doubt(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet"]).await;
        let mail = OutboxEntry { kind: OutboxKind::Mail, gateway: None, ..entry("mail", NOW) };
        let fetch = OutboxEntry { kind: OutboxKind::Fetch, gateway: None, ..entry("fetch", NOW) };
        let waiting = [entry("text", NOW), mail, fetch].map(Write::Enqueue);
        acme.commit("transit", waiting.into()).await.unwrap();

        let adopted = fixture.storage.adopt(&"restored".parse().unwrap()).await.unwrap();

        assert_eq!(adopted, Adopted { mailboxes: 2, in_doubt: 2 });
        for device in ["phone", "tablet"] {
            let state = acme.mailbox(&id(device)).state(NOW).await.unwrap().unwrap();
            assert_eq!(state.epoch.as_str(), "restored");
        }
        let outbox = fixture.storage.outbox();
        for (kind, name) in [(OutboxKind::Text, "text"), (OutboxKind::Mail, "mail")] {
            let again = outbox.claim(&node("here"), kind, 9).await.unwrap();
            assert!(again.is_empty(), "the {name} is not sent again");
            let doubt = outbox.in_state(kind, OutboxState::InDoubt, 9).await.unwrap();
            let doubt: Vec<_> = doubt.iter().map(|(_, entry)| &entry.id).collect();
            assert_eq!(doubt, [&message_id(name)]);
        }
        // The service that is asked again knows the request by its id.
        assert_eq!(outbox.claim(&node("here"), OutboxKind::Fetch, 9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_copy_beside_the_writer_has_what_was_confirmed_before_it_and_nothing_half() {
    let fixture = Fixture::sqlite().await;
    let acme = fixture.acme();
    let devices = yardstick::enrol(&acme, 1).await.unwrap();
    let invite = async |name: &str| {
        acme.commit("invite", yardstick::invite(&devices[0], name).unwrap()).await.unwrap();
    };
    for number in 0..50 {
        invite(&format!("before-{number}")).await;
    }
    let to = fixture.path().with_file_name("copy.db");

    let (copied, ()) = tokio::join!(copy(fixture.path(), &to, |_, _| {}), async {
        for number in 0..50 {
            invite(&format!("beside-{number}")).await;
        }
    });

    copied.unwrap();
    verify(&to).await.unwrap();
    let copy = Storage::open(settings(to.into())).await.unwrap();
    let copied = copy.of(acme.tenant());
    for number in 0..50 {
        let before = session_id(&format!("session-before-{number}"));
        assert!(copied.sessions().get(&before).await.unwrap().is_some(), "{number}");
        let beside = session_id(&format!("session-beside-{number}"));
        let session = copied.sessions().get(&beside).await.unwrap();
        assert_eq!(copied.sessions().legs(&beside).await.unwrap().len(), usize::from(session.is_some()));
    }
    copy.close().await;
}

#[tokio::test]
async fn a_database_whose_server_has_stopped_is_copied_too_and_nothing_is_overwritten() {
    let fixture = Fixture::sqlite().await;
    fixture.storage.close().await;
    let to = fixture.path().with_file_name("copy.db");

    copy(fixture.path(), &to, |_, _| {}).await.unwrap();

    verify(&to).await.unwrap();
    let again = copy(fixture.path(), &to, |_, _| {}).await;
    assert!(matches!(again, Err(CopyError::Database(_))), "{again:?}");
    verify(&to).await.unwrap();
}

#[tokio::test]
async fn a_damaged_copy_is_told() {
    let fixture = Fixture::sqlite().await;
    let devices = yardstick::enrol(&fixture.acme(), 300).await.unwrap();
    assert_eq!(devices.len(), 300);
    let to = fixture.path().with_file_name("copy.db");
    copy(fixture.path(), &to, |_, _| {}).await.unwrap();
    let mut content = std::fs::read(&to).unwrap();
    let page = content.len() / 4_096 / 2 * 4_096;
    content[page..page + 4_096].fill(0xff);
    std::fs::write(&to, content).unwrap();

    let told = verify(&to).await;

    assert!(matches!(told, Err(CopyError::Damaged(_) | CopyError::Database(_))), "{told:?}");
}
