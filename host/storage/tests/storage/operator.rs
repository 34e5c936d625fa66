//! Tenants, plugins, tokens, the audit trail, and rows that are broken.

use switchhook_core::{
    policy::Slot,
    row::{Attempt, PluginVersion, VersionState},
};
use switchhook_storage::{
    AdminToken, AuditEntry, PluginLine, PutAttempt, StorageError, TenantStorage, limits::PLUGIN_LINES,
};

use crate::fixture::{LATER, NOW, attempt, id, tenant};

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

    async fn versions_are_kept_as_they_were_uploaded_and_change_their_state(fixture) {
        let acme = fixture.acme();
        let before = acme.plugins().revision().await.unwrap();
        for row in [version(1, VersionState::Active), version(2, VersionState::Inactive)] {
            assert!(put(&acme, row).await);
        }
        assert!(!put(&acme, PluginVersion { size: 9, ..version(1, VersionState::Killed) }).await);
        assert_eq!(acme.plugins().loaded().await.unwrap(), [version(1, VersionState::Active)]);

        let changed = [version(1, VersionState::Draining), version(2, VersionState::Active)];
        let stored = changed.clone();
        acme.run("activate", async move |tx| {
            for row in &stored {
                tx.set_plugin_version(row).await?;
            }
            tx.plugin_versions(Slot::RegistrationMethod, "sms").await
        })
        .await
        .unwrap();

        assert_eq!(acme.plugins().loaded().await.unwrap(), changed);
        assert_eq!(acme.plugins().of(Slot::RegistrationMethod, "sms").await.unwrap(), changed);
        assert!(acme.plugins().of(Slot::RegistrationMethod, "entry").await.unwrap().is_empty());
        let revisions = fixture.storage.plugin_revisions().await.unwrap();
        assert_eq!(revisions, [(tenant("acme"), before + 5), (tenant("other"), 0)]);
    }

    async fn two_versions_of_a_name_are_never_active_at_once(fixture) {
        let acme = fixture.acme();
        assert!(put(&acme, version(1, VersionState::Active)).await);
        assert!(!put(&acme, version(2, VersionState::Active)).await);
        assert_eq!(acme.plugins().list().await.unwrap(), [version(1, VersionState::Active)]);
    }

    async fn a_version_drains_until_its_last_attempt_is_over(fixture) {
        let acme = fixture.with_devices(&["phone"]).await;
        put(&acme, version(1, VersionState::Draining)).await;
        let asking = Attempt { plugin_version: 1, ..attempt("a-1", "key") };
        put_attempt(&acme, asking.clone(), 0).await;
        assert!(fixture.storage.end_draining().await.unwrap().is_empty());

        put_attempt(&acme, Attempt { finished: true, ..asking }, 1).await;

        let ended = fixture.storage.end_draining().await.unwrap();
        assert!(ended.iter().map(|(tenant, it)| (tenant.as_str(), it.version)).eq([("acme", 1)]));
        assert_eq!(acme.plugins().list().await.unwrap(), [version(1, VersionState::Inactive)]);
    }

    async fn grants_and_lines_are_kept_by_plugin_and_the_oldest_lines_go(fixture) {
        let acme = fixture.acme();
        let line = |text: String| PluginLine {
            at: NOW,
            version: 1,
            subject: "s-1".to_owned(),
            level: "info".to_owned(),
            text,
        };
        let many: Vec<PluginLine> = (0..=PLUGIN_LINES).map(|number| line(number.to_string())).collect();
        acme.run("fill", async move |tx| {
            tx.put_plugin_grants(Slot::NatPolicy, "mine", "{}").await?;
            tx.put_plugin_grants(Slot::NatPolicy, "mine", r#"{"outbound":[]}"#).await?;
            tx.append_plugin_lines(Slot::NatPolicy, "mine", &many).await
        })
        .await
        .unwrap();

        let grants = acme.plugins().grants().await.unwrap();
        assert_eq!(grants, [(Slot::NatPolicy, "mine".to_owned(), r#"{"outbound":[]}"#.to_owned())]);
        let first = acme.plugin_log(Slot::NatPolicy, "mine").after(0, 1).await.unwrap();
        assert_eq!(first, [(2, line("1".to_owned()))]);
        let last = acme.plugin_log(Slot::NatPolicy, "mine").after(PLUGIN_LINES, 9).await.unwrap();
        assert_eq!(last, [(PLUGIN_LINES + 1, line(PLUGIN_LINES.to_string()))]);
        assert!(acme.plugin_log(Slot::InviteRouter, "mine").after(0, 1).await.unwrap().is_empty());
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
            application: None,
            relay_host: None,
            hash: [1; 32],
            tenant: None,
            label: "operator".to_owned(),
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
        };
        let of_acme = AdminToken {
            application: None,
            relay_host: None,
            hash: [2; 32],
            tenant: Some(tenant("acme")),
            label: "acme".to_owned(),
            expires_at: Some(LATER),
            ..operator.clone()
        };
        let noted = |action: &str, at| AuditEntry {
            at,
            actor: "operator".to_owned(),
            action: action.to_owned(),
            subject: "a token".to_owned(),
            detail: String::new(),
        };
        tokens.put(&operator, noted("token.create", NOW)).await.unwrap();
        tokens.put(&of_acme, noted("token.create", NOW)).await.unwrap();
        assert_eq!(tokens.get(&[1; 32]).await.unwrap(), Some(operator.clone()));

        assert!(tokens.revoke(&[2; 32], noted("token.revoke", LATER)).await.unwrap());
        assert!(!tokens.revoke(&[2; 32], noted("token.revoke", LATER)).await.unwrap());

        let revoked = AdminToken { revoked_at: Some(LATER), ..of_acme };
        assert_eq!(tokens.list().await.unwrap(), [revoked, operator]);
        assert_eq!(tokens.get(&[3; 32]).await.unwrap(), None);
        let audit = fixture.storage.operator_audit(1, 10).await.unwrap();
        let entries: Vec<_> = audit.into_iter().map(|(_, entry)| entry).collect();
        assert_eq!(entries, [noted("token.create", NOW), noted("token.revoke", LATER)], "once, after the first");
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
        fixture.say("UPDATE devices SET key_algorithm = 'rot13'").await;

        let read = acme.devices().get(&id("phone")).await;

        assert!(matches!(read, Err(StorageError::Corrupt { table: "devices", row }) if row == "phone"));
    }
}

async fn put(storage: &TenantStorage, row: PluginVersion) -> bool {
    storage.run("upload", async move |tx| tx.put_plugin_version(&row).await).await.unwrap()
}

async fn put_attempt(storage: &TenantStorage, attempt: Attempt, expected: u64) {
    let stored =
        storage.run("step", async move |tx| tx.put_attempt(&attempt, expected, NOW).await).await.unwrap();
    assert_eq!(stored, PutAttempt::Stored(expected + 1));
}

pub(crate) fn version(version: u32, state: VersionState) -> PluginVersion {
    PluginVersion {
        slot: Slot::RegistrationMethod,
        name: "sms".to_owned(),
        version,
        digest: [7; 32],
        size: 1_000,
        webhook: None,
        uploaded_at: NOW,
        uploaded_by: "acme".to_owned(),
        report: "{}".to_owned(),
        state,
        activated: 1,
        configuration: "{}".to_owned(),
    }
}
