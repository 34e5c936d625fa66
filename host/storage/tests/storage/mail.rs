//! A tenant's mail server, and mails in the outbox.

use switchhook_core::{
    mail::Template,
    row::{
        MailServer, OutboxEntry, OutboxKind, OutboxState, Secret, SecretKind, Security, Validation, Write,
    },
};
use switchhook_protocol::time::Timestamp;
use switchhook_storage::{StoredMailServer, limits};

use crate::fixture::{LATER, NOW, entry, message_id, node, secret, validation};

fn mail(name: &str, at: Timestamp) -> OutboxEntry {
    OutboxEntry { kind: OutboxKind::Mail, gateway: None, ..entry(name, at) }
}

on_each_database! {
    async fn reg_7_a_mail_server_comes_back_as_it_was_and_is_its_tenants_own(fixture) {
        let (acme, other) = (fixture.acme(), fixture.storage.of(&"other".parse().unwrap()));
        assert_eq!(acme.mail_server().await.unwrap(), None);
        let server = MailServer {
            host: "smtp.example".to_owned(),
            port: 587,
            security: Security::StartTls,
            user: Some("acme".to_owned()),
            sender: "no-reply@acme.example".parse().unwrap(),
            sender_name: "Ächme".to_owned(),
            template: Template { subject: "Hello".to_owned(), text: "{link}\n".to_owned() },
        };
        let open = MailServer { user: None, security: Security::Tls, ..server.clone() };
        for stored in [
            StoredMailServer { server, password: Some(vec![0, 1, 254, 255]) },
            StoredMailServer { server: open, password: None },
        ] {
            let put = stored.clone();
            acme.run("mail", async move |tx| tx.put_mail_server(&put).await).await.unwrap();
            assert_eq!(acme.mail_server().await.unwrap(), Some(stored));
        }
        assert_eq!(other.mail_server().await.unwrap(), None);
        assert!(!other.run("mail", async |tx| tx.remove_mail_server().await).await.unwrap());
        assert!(acme.run("mail", async |tx| tx.remove_mail_server().await).await.unwrap());
        assert_eq!(acme.mail_server().await.unwrap(), None);
    }

    async fn reg_7_a_mail_that_was_being_sent_is_in_doubt_and_not_sent_again(fixture) {
        let mut fixture = fixture;
        fixture.acme().commit("step", vec![Write::Enqueue(mail("begun", NOW))]).await.unwrap();
        assert!(fixture.storage.outbox().claim(&node("before"), OutboxKind::Text, 9).await.unwrap().is_empty());
        fixture.storage.outbox().claim(&node("before"), OutboxKind::Mail, 9).await.unwrap();

        fixture.reopen().await;
        let doubtful = fixture.storage.nodes().take_up().await.unwrap();

        let in_doubt = OutboxEntry { state: OutboxState::InDoubt, ..mail("begun", NOW) };
        assert!(doubtful.iter().map(|(_, entry)| entry).eq([&in_doubt]));
        let outbox = fixture.storage.outbox();
        assert!(outbox.claim(&node("after"), OutboxKind::Mail, 9).await.unwrap().is_empty());
        assert_eq!(outbox.in_state(OutboxKind::Mail, OutboxState::InDoubt, 9).await.unwrap(), doubtful);
    }

    async fn reg_7_a_mail_server_that_does_not_answer_holds_up_no_other_tenants_mails(fixture) {
        let at = Timestamp::from_millis;
        let mails = (0..100).map(|number| Write::Enqueue(mail(&format!("mail-{number}"), at(number))));
        fixture.acme().commit("step", mails.collect()).await.unwrap();
        let other = fixture.storage.of(&"other".parse().unwrap());
        other.commit("step", vec![Write::Enqueue(mail("others", at(1_000)))]).await.unwrap();
        let claimed = async || fixture.storage.outbox().claim(&node("here"), OutboxKind::Mail, 64).await.unwrap();

        assert_eq!(u32::try_from(claimed().await.len()), Ok(limits::MAIL_SERVER_SHARE));
        let next = claimed().await;
        assert!(next.iter().map(|(_, entry)| &entry.id).eq([&message_id("others")]));
    }

    async fn reg_8_a_links_secret_is_used_once_and_is_no_code(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let link = Secret { kind: SecretKind::Link, tries_left: 1, ..secret("link") };
        let put = link.clone();
        acme.run("put", async move |tx| tx.put_secret(&put).await).await.unwrap();
        assert_eq!(acme.secret("link", SecretKind::Link).await.unwrap(), Some(link));
        assert_eq!(acme.secret("link", SecretKind::Code).await.unwrap(), None);
        let used = async |kind| acme.run("use", async move |tx| tx.use_secret("link", kind, NOW).await).await.unwrap();
        assert!(!used(SecretKind::Code).await);
        assert!(used(SecretKind::Link).await);
        assert!(!used(SecretKind::Link).await);
    }

    async fn reg_18_a_validation_is_found_validated_once_and_forgotten_long_after(fixture) {
        let acme = fixture.acme();
        let order = validation("order");
        let put = order.clone();
        acme.run("begin", async move |tx| tx.put_validation(&put).await).await.unwrap();
        let found = async || acme.validation(&order.application, &order.id).await.unwrap();
        assert_eq!(found().await, Some(order.clone()));
        assert_eq!(acme.validation(&"game".parse().unwrap(), &order.id).await.unwrap(), None);
        assert_eq!(acme.validation_of(&order.attempt).await.unwrap(), Some(order.clone()));

        let validated = async || {
            let attempt = order.attempt.clone();
            acme.run("end", async move |tx| tx.validated(&attempt, NOW).await).await.unwrap()
        };
        assert!(validated().await);
        assert!(!validated().await);
        let outcome = Validation { validated_at: Some(NOW), ..order.clone() };
        assert_eq!(found().await, Some(outcome.clone()));
        assert_eq!(acme.person(&order.address).await.unwrap().validations, [outcome]);

        let kept = switchhook_protocol::time::millis(limits::KEPT);
        let until = Timestamp::from_millis(LATER.as_millis() + kept);
        let before = Timestamp::from_millis(until.as_millis() - 1);
        assert_eq!(fixture.storage.sweep(before).await.unwrap().validations, 0);
        assert_eq!(fixture.storage.sweep(until).await.unwrap().validations, 1);
        assert_eq!(found().await, None);
    }
}
