//! `switchhook backup` beside a running server, `switchhook restore`, and what clients notice of it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;
use switchhook_client::ClientEvent;
use switchhook_protocol::{id::Epoch, server::Resumed};
use switchhook_server::ROOT_KEYS;
use switchhook_tests::{host::Host, phone::Phone};
use tokio::process::Command;

use crate::three::{ALICE, BOB};

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchhook-under-test");

/// Mailboxes count anew after a restore (DESIGN §8); a message that the backup had waiting and the device has had
/// since comes again, and not to the application.
#[tokio::test]
async fn after_a_restore_clients_notice_and_every_later_message_arrives_once() -> Result<()> {
    let mut host = Host::start().await?;
    let (mut alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let (settings, identity) = bob.leave().await;
    let waiting = alice.invite(BOB).await?;
    let backup = host.folder().join("backup");
    let made = run(["backup", text(&backup)?, "--with-keys", "--data", text(host.data())?]).await?;
    assert_eq!(made.pointer("/with_keys"), Some(&Value::Bool(true)));
    let mut bob = Phone::connect(settings, identity).await?;
    let rung = bob.expect_invite().await?;
    let forgotten = alice.invite(BOB).await?;
    assert_eq!(bob.expect_invite().await?.session, forgotten.session);
    let epochs = (epoch(&mut alice).await?, epoch(&mut bob).await?);

    host.stop().await;
    let restored = host.folder().join("restored");
    let done = run(["restore", text(&backup)?, "--data", text(&restored)?]).await?;
    assert_eq!(done.pointer("/mailboxes"), Some(&Value::from(2)));
    host.start_on(restored).await?;

    for (phone, before) in [(&mut alice, epochs.0), (&mut bob, epochs.1)] {
        assert_eq!(resumed_after(phone, before).await?, Resumed::None);
    }
    let known = bob.client.sync().await?;
    assert_eq!(known.registrations, [BOB.parse()?]);
    let ringing: Vec<_> = known.rings.iter().map(|ring| &ring.session).collect();
    assert_eq!(ringing, [&waiting.session], "what came after the backup is gone");
    let later = alice.invite(BOB).await?;
    assert_eq!(bob.expect_invite().await?.session, later.session);
    assert_eq!(bob.rings_heard().await?, 0, "each was expected once, and none came twice");
    let accepted = bob.accept(&rung).await??;
    assert_eq!(alice.expect_accept(&waiting.session).await?.media_key, accepted.media_key);
    Ok(())
}

#[tokio::test]
async fn a_backup_without_keys_wants_those_of_its_installation() -> Result<()> {
    let (host, other) = (Host::start().await?, Host::start().await?);
    let backup = host.folder().join("backup");
    run(["backup", text(&backup)?, "--data", text(host.data())?]).await?;
    assert!(!backup.join(ROOT_KEYS).exists());
    let (data, keys) = (host.folder().join("restored"), host.data().join(ROOT_KEYS));
    let foreign = other.data().join(ROOT_KEYS);
    let restore = ["restore", text(&backup)?, "--data", text(&data)?];

    refused(restore, "the backup has no keys").await?;
    refused([&restore[..], &["--keys", text(&foreign)?]].concat(), "not the keys of this backup").await?;
    assert!(!data.exists());
    run([&restore[..], &["--keys", text(&keys)?]].concat()).await?;

    assert_eq!(fs::read(data.join(ROOT_KEYS))?, fs::read(keys)?);
    Ok(())
}

#[tokio::test]
async fn what_is_no_whole_backup_or_no_empty_folder_is_refused_and_nothing_is_changed() -> Result<()> {
    let host = Host::start().await?;
    let backup = host.folder().join("backup");
    let make = ["backup", text(&backup)?, "--with-keys", "--data", text(host.data())?];
    run(make).await?;
    refused(make, "is not empty").await?;
    refused(["restore", text(&backup)?, "--data", text(host.data())?], "is not empty").await?;
    let data = host.folder().join("restored");
    let restore = ["restore", text(&backup)?, "--data", text(&data)?];

    let copy = backup.join("switchhook.db");
    let whole = fs::read(&copy)?;
    let mut changed = whole.clone();
    *changed.last_mut().context("it is empty")? ^= 1;
    fs::write(&copy, changed)?;
    refused(restore, "was changed or is damaged").await?;
    fs::write(&copy, whole)?;
    let manifest = backup.join("backup.json");
    let kept = fs::read(&manifest)?;
    fs::remove_file(&manifest)?;
    refused(restore, "is no backup").await?;
    assert!(!data.exists());
    fs::write(&manifest, kept)?;
    run(restore).await?;
    Ok(())
}

#[tokio::test]
async fn a_database_that_came_back_by_other_means_is_adopted_and_clients_notice() -> Result<()> {
    let mut host = Host::start().await?;
    let mut alice = host.phone(ALICE).await?;
    let before = epoch(&mut alice).await?;
    let adopt = ["restore", "--adopt", "--data", text(host.data())?].map(str::to_owned);
    let adopt = adopt.each_ref().map(String::as_str);
    refused(adopt, "in use by another process").await?;
    host.stop().await;

    let adopted = run(adopt).await?;
    assert_eq!(adopted.pointer("/mailboxes"), Some(&Value::from(1)));
    host.start_again().await?;

    assert_eq!(resumed_after(&mut alice, before).await?, Resumed::None);
    let nowhere = host.folder().join("nowhere");
    refused(["restore", "--adopt", "--data", text(&nowhere)?], "there is no database").await?;
    assert!(!nowhere.exists());
    Ok(())
}

#[tokio::test]
async fn rows_in_postgres_are_left_to_its_own_tools() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (settings, backup) = (folder.path().join("settings.toml"), folder.path().join("backup"));
    fs::write(&settings, "database = \"postgres://switchhook@localhost/switchhook\"")?;
    for command in ["backup", "restore"] {
        refused([command, text(&backup)?, "--settings", text(&settings)?], "pg_dump").await?;
    }
    assert!(!backup.exists());
    Ok(())
}

/// Runs the command line, which answers in JSON.
async fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Value> {
    let output = Command::new(PROGRAM).args(arguments).arg("--json").kill_on_drop(true).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{said}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The command line says no, with these words.
async fn refused<'a>(arguments: impl IntoIterator<Item = &'a str>, words: &str) -> Result<()> {
    let error = run(arguments).await.err().context("it was not refused")?.to_string();
    anyhow::ensure!(error.contains(words), "{error}");
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("no text")
}

/// The epoch of the last welcome.
async fn epoch(phone: &mut Phone) -> Result<Epoch> {
    phone
        .expect("a welcome", |event| {
            if let ClientEvent::Connected(welcome) = event { Some(welcome.epoch.clone()) } else { None }
        })
        .await
}

/// What the first welcome of another epoch says.
async fn resumed_after(phone: &mut Phone, before: Epoch) -> Result<Resumed> {
    phone
        .expect("a welcome of another epoch", |event| {
            let ClientEvent::Connected(welcome) = event else { return None };
            (welcome.epoch != before).then_some(welcome.resumed)
        })
        .await
}
