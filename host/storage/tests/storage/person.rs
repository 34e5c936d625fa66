//! The list of registrations, and one person's data: shown, and erased from every table (REG-11).

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use switchhook_core::{
    policy::{Slot, registration::Pair},
    row::{KeptAnswer, Message, Registration, Write},
};
use switchhook_protocol::endpoint::EndpointId;
use switchhook_storage::{Database, Held, Page, PluginLine, TenantStorage};

use crate::{
    fixture::{NOW, alice, attempt, enrol, id, kept, message, registration, tenant},
    walls::fill,
};

on_each_database! {
    async fn reg_11_registrations_are_listed_by_identifier_device_and_application_page_by_page(fixture) {
        let acme = fixture.with_devices(&["phone", "tablet"]).await;
        let game = |device| Registration { application: "game".parse().unwrap(), ..registration(device) };
        let bob = |device| Registration { endpoint: bob(), ..registration(device) };
        let all = [registration("phone"), bob("phone"), game("tablet"), bob("tablet")];
        for row in all.clone() {
            acme.run("bind", async move |tx| tx.bind(&row).await).await.unwrap();
        }
        let listed = async |which: &Held, page: Page<'_>| acme.registrations().held(which, page).await.unwrap();
        let whole = Page { application: None, after: None, limit: 9 };

        assert_eq!(listed(&Held::All, whole).await, all);
        assert_eq!(listed(&Held::By(alice()), whole).await, [registration("phone"), game("tablet")]);
        assert_eq!(listed(&Held::On(id("tablet")), whole).await, [game("tablet"), bob("tablet")]);
        let phones = "phone".parse().unwrap();
        let of_phones = Page { application: Some(&phones), ..whole };
        assert_eq!(listed(&Held::By(alice()), of_phones).await, [registration("phone")]);
        let after = (id("phone"), alice());
        let next = Page { after: Some(&after), limit: 2, ..whole };
        assert_eq!(listed(&Held::All, next).await, all[1..3]);
        let other = fixture.storage.of(&tenant("other"));
        assert_eq!(other.registrations().held(&Held::All, whole).await.unwrap(), []);
    }

    async fn reg_11_a_registration_is_new_once_and_revoked_once(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let bind = async || acme.run("bind", async |tx| tx.bind(&registration("phone")).await).await.unwrap();
        let revoke = async || acme.run("revoke", async |tx| tx.revoke(&id("phone"), &alice()).await).await.unwrap();
        assert_eq!((bind().await, bind().await), (None, Some(registration("phone").method)));
        assert_eq!((revoke().await, revoke().await), (true, false));
        assert_eq!(acme.registrations().of_device(&id("phone")).await.unwrap(), []);
        assert_eq!(bind().await, None);
    }

    async fn reg_11_a_person_is_shown_whole(fixture) {
        let acme = fixture.acme();
        everywhere(&acme).await;

        let person = acme.person(&alice()).await.unwrap();

        assert_eq!(person.registrations, ["phone", "tablet"].map(registration));
        assert_eq!(person.devices[0].id, id("phone"));
        assert_eq!(person.blocked, [EndpointId::try_from("bob".to_owned()).unwrap()]);
        assert_eq!(person.opted_out_since, Some(NOW));
        let sessions: Vec<&str> = person.sessions.iter().map(|session| session.id.as_str()).collect();
        assert_eq!(sessions, ["call", "rings"]);
        assert_eq!(person.attempts.len(), 2);
        assert_eq!(person.waiting.len(), 1);
        assert_eq!(fixture.storage.of(&tenant("other")).person(&alice()).await.unwrap().sessions, []);
    }

    async fn reg_11_a_person_is_erased_from_every_table_and_others_stay(fixture) {
        let (acme, other) = (fixture.acme(), fixture.storage.of(&tenant("other")));
        everywhere(&acme).await;
        everywhere(&other).await;
        let before = naming(&fixture.database, "acme").await;
        for table in ["registrations", "blocks", "secrets", "sessions", "messages", "attempts", "plugin_lines", "pairs"] {
            assert!(before.iter().any(|named| named == table), "{table} does not name the person: {before:?}");
        }
        let kept = naming(&fixture.database, "other").await;

        let erased = acme.run("erase", async |tx| tx.erase_person(&alice()).await).await.unwrap();

        assert_eq!(naming(&fixture.database, "acme").await, Vec::<String>::new());
        assert_eq!(naming(&fixture.database, "other").await, kept);
        assert_eq!((erased.devices, erased.shared, erased.sessions, erased.messages), (vec![id("phone")], 1, 2, 1));
        assert!(acme.devices().get(&id("phone")).await.unwrap().is_none());
        assert_eq!(acme.registrations().of_device(&id("tablet")).await.unwrap(), [bob()]);
        let left = acme.mailbox(&id("tablet")).state(NOW).await.unwrap().unwrap();
        assert_eq!((left.last_seq, left.lost_seq), (1, 1), "its owner hears that something is gone");
    }
}

/// Alice in every table: on a phone of her own, on Bob's tablet, and in texts of others.
async fn everywhere(storage: &TenantStorage) {
    fill(storage).await;
    enrol(storage, "tablet").await;
    let named =
        Message { event: format!(r#"{{"from":"{}"}}"#, alice().reveal()), ..message("tablet", "news") };
    let answer =
        KeptAnswer { device: id("tablet"), ..kept("other", &format!(r#"["{}"]"#, alice().reveal())) };
    storage.commit("invite", vec![Write::Append(named), Write::Keep(answer)]).await.unwrap();
    storage
        .run("fill", async |tx| {
            tx.bind(&registration("tablet")).await?;
            tx.bind(&Registration { endpoint: bob(), ..registration("tablet") }).await?;
            tx.opt_out(&alice(), true, NOW).await?;
            tx.block(&bob(), &alice(), NOW).await?;
            let _new =
                tx.put_attempt(&attempt("attempt-2", &format!("token {}", alice().reveal())), 0, NOW).await?;
            let text = format!("{} is rung", alice().reveal());
            let (subject, level) = ("call".to_owned(), "info".to_owned());
            tx.append_plugin_lines(
                Slot::InviteRouter,
                "mine",
                &[PluginLine { at: NOW, version: 1, subject, level, text }],
            )
            .await?;
            tx.put_pair(&Pair { key: "last".to_owned(), value: Some(alice().reveal().into()) }).await
        })
        .await
        .unwrap();
}

/// The tables in which a row of the tenant names Alice, whatever the column.
async fn naming(database: &Database, tenant: &str) -> Vec<String> {
    match database {
        Database::Sqlite { path } => {
            let mut connection = SqliteConnection::connect(&path.to_string_lossy()).await.unwrap();
            let tables = "SELECT m.name, group_concat('instr(CAST(' || c.name || ' AS TEXT), ''' || $1 || ''') > 0', ' OR ') \
                 FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table' \
                 AND m.name IN (SELECT t.name FROM sqlite_master AS t, pragma_table_info(t.name) AS k WHERE k.name = 'tenant') \
                 GROUP BY m.name ORDER BY m.name";
            let tables = sqlx::query(tables)
                .bind(alice().reveal().to_owned())
                .fetch_all(&mut connection)
                .await
                .unwrap();
            let mut found = Vec::new();
            for row in tables {
                let (name, names): (String, String) = (row.get(0), row.get(1));
                let count = AssertSqlSafe(format!(
                    "SELECT count(*) FROM {name} WHERE tenant = '{tenant}' AND ({names})"
                ));
                let count: i64 = sqlx::query(count).fetch_one(&mut connection).await.unwrap().get(0);
                found.extend((count > 0).then_some(name));
            }
            found
        }
        Database::Postgres { url } => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let tables = "SELECT table_name::text FROM information_schema.columns \
                 WHERE column_name = 'tenant' AND table_schema = current_schema() ORDER BY 1";
            let tables = sqlx::query(tables).fetch_all(&mut connection).await.unwrap();
            let mut found = Vec::new();
            for row in tables {
                let name: String = row.get(0);
                let count = AssertSqlSafe(format!(
                    "SELECT count(*) FROM {name} AS t WHERE tenant = '{tenant}' AND (position('{alice}' in t::text) > 0 \
                     OR position(encode(convert_to('{alice}', 'UTF8'), 'hex') in t::text) > 0)",
                    alice = alice().reveal(),
                ));
                let count: i64 = sqlx::query(count).fetch_one(&mut connection).await.unwrap().get(0);
                found.extend((count > 0).then_some(name));
            }
            found
        }
    }
}

fn bob() -> EndpointId {
    "bob@example.com".parse().unwrap()
}
