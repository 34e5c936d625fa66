//! Uploads compiled in a process of their own, as `switchhook serve` does.

use std::fs;

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::Value;
use switchhook_built_guests::{self as guests, by_hand};
use switchhook_plugin_runtime::{Slot, builtin};
use switchhook_tests::host::Host;

use crate::{ALICE, BOB, install, routed};

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchhook-under-test");

#[tokio::test]
async fn an_upload_is_compiled_by_a_child_and_runs_here() -> Result<()> {
    let host = host().await?;
    let (alice, _bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);

    install(&host.admin, "invite-router/hunts", guests::HUNTS, Value::Null).await?;
    let status = alice.invite(BOB).await?;

    let (by, _, failure) = routed(&host, status.session.as_str()).await?;
    assert_eq!((by.as_str(), failure), ("hunts", None));
    let kept = fs::read_dir(host.data().join("plugins"))?.count();
    assert_eq!(kept, builtin::all().iter().filter(|it| it.active).count() + 1, "compiled code is kept");
    Ok(())
}

#[tokio::test]
async fn plug_4_a_bomb_for_the_compiler_ends_with_its_process_and_the_tenant_is_told() -> Result<()> {
    let host = host().await?;
    let (alice, _bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let router = builtin::all().iter().find(|builtin| builtin.slot == Slot::InviteRouter);
    let bomb = by_hand::carrying(router.map_or(&[], |router| router.bytes), &by_hand::bombs_compiler(20_000));

    let upload = host.admin.upload("invite-router/bomb", bomb);
    let (refused, called) = tokio::join!(upload, alice.invite(BOB));

    let (status, problem) = refused?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let said = problem.pointer("/report/findings/0/says").and_then(Value::as_str).unwrap_or_default();
    assert!(said.contains("to compile"), "{problem}");
    assert_eq!(called?.devices.len(), 1, "who calls meanwhile notices nothing");
    Ok(())
}

async fn host() -> Result<Host> {
    Host::with(|settings| settings.compiler = Some(PROGRAM.into())).await
}
