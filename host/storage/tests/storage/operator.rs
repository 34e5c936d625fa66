//! Tenants, plugins, tokens, the audit trail, and rows that are broken.

use sqlx::Connection as _;
use switchhook_core::policy::Slot;
use switchhook_storage::{Activation, AdminToken, AuditEntry, StorageError, TenantStorage};

use crate::fixture::{LATER, NOW, id, tenant};

on_each_database! {
    async fn a_tenant_is_made_once(fixture) {
        let tenants = fixture.storage.tenants();
        assert!(!tenants.create(&tenant("acme"), LATER).await.unwrap());
        assert!(tenants.exists(&tenant("acme")).await.unwrap());
        assert!(!tenants.exists(&tenant("nobody")).await.unwrap());
        assert_eq!(tenants.list().await.unwrap(), [tenant("acme"), tenant("other")]);

        let acme = fixture.acme();
        assert_eq!(acme.settings().await.unwrap().as_deref(), Some("{}"));
        acme.run("configure", async |tx| tx.set_settings(r#"{"a":1}"#).await).await.unwrap();
        assert_eq!(acme.settings().await.unwrap().as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(fixture.storage.of(&tenant("nobody")).settings().await.unwrap(), None);
    }

    async fn an_activation_takes_the_place_of_the_active_version(fixture) {
        let acme = fixture.acme();
        let before = acme.plugins().revision().await.unwrap();
        for activation in [version(1, true), version(2, false)] {
            put(&acme, activation).await;
        }
        assert_eq!(acme.plugins().active().await.unwrap(), [version(1, true)]);

        put(&acme, version(2, true)).await;

        assert_eq!(acme.plugins().active().await.unwrap(), [version(2, true)]);
        assert_eq!(acme.plugins().list().await.unwrap(), [version(1, false), version(2, true)]);
        assert_eq!(acme.plugins().revision().await.unwrap(), before + 3);
        let revisions = fixture.storage.plugin_revisions().await.unwrap();
        assert_eq!(revisions, [(tenant("acme"), before + 3), (tenant("other"), 0)]);
    }

    async fn a_component_is_stored_once_by_its_digest(fixture) {
        let acme = fixture.acme();
        for _ in 0..2 {
            acme.run("upload", async |tx| tx.put_artifact(&[1; 32], vec![0, 97, 115, 109]).await).await.unwrap();
        }
        assert_eq!(acme.plugins().artifact(&[1; 32]).await.unwrap(), Some(vec![0, 97, 115, 109]));
        assert_eq!(acme.plugins().artifact(&[2; 32]).await.unwrap(), None);
    }

    async fn a_token_is_taken_back_once(fixture) {
        let tokens = fixture.storage.admin_tokens();
        let operator = AdminToken {
            hash: [1; 32],
            tenant: None,
            label: "operator".to_owned(),
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
        };
        let of_acme = AdminToken {
            hash: [2; 32],
            tenant: Some(tenant("acme")),
            label: "acme".to_owned(),
            expires_at: Some(LATER),
            ..operator.clone()
        };
        tokens.put(&operator).await.unwrap();
        tokens.put(&of_acme).await.unwrap();
        assert_eq!(tokens.get(&[1; 32]).await.unwrap(), Some(operator.clone()));

        assert!(tokens.revoke(&[2; 32], LATER).await.unwrap());
        assert!(!tokens.revoke(&[2; 32], LATER).await.unwrap());

        let revoked = AdminToken { revoked_at: Some(LATER), ..of_acme };
        assert_eq!(tokens.list().await.unwrap(), [revoked, operator]);
        assert_eq!(tokens.get(&[3; 32]).await.unwrap(), None);
    }

    async fn the_audit_trail_is_read_in_order_from_any_place(fixture) {
        let acme = fixture.acme();
        let entry = |action: &str| AuditEntry {
            at: NOW,
            actor: "operator".to_owned(),
            action: action.to_owned(),
            subject: "nat-policy".to_owned(),
            detail: String::new(),
        };
        for action in ["upload", "activate"] {
            let entry = entry(action);
            acme.run("change", async move |tx| tx.audit(&entry).await).await.unwrap();
        }

        let all = acme.audit().after(0, 10).await.unwrap();
        assert!(all.iter().map(|(_, entry)| entry.action.as_str()).eq(["upload", "activate"]));
        assert_eq!(acme.audit().after(all[0].0, 10).await.unwrap(), all[1..]);
    }

    async fn a_broken_row_is_named_and_is_not_taken_for_an_absent_one(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        let mut connection = sqlx::SqliteConnection::connect(fixture.path().to_str().unwrap()).await.unwrap();
        let broken = sqlx::query("UPDATE devices SET key_algorithm = 'rot13'");
        broken.execute(&mut connection).await.unwrap();

        let read = acme.devices().get(&id("phone")).await;

        assert!(matches!(read, Err(StorageError::Corrupt { table: "devices", row }) if row == "phone"));
    }
}

async fn put(storage: &TenantStorage, activation: Activation) {
    storage.run("activate", async move |tx| tx.put_activation(&activation).await).await.unwrap();
}

fn version(version: u32, active: bool) -> Activation {
    Activation {
        slot: Slot::NatPolicy,
        name: "standard".to_owned(),
        version,
        digest: [7; 32],
        configuration: "{}".to_owned(),
        active,
    }
}
