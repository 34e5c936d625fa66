//! What an operator sees of a server from outside.

use std::{fs, net::Ipv4Addr, process::Stdio};

use anyhow::{Context as _, Result};
use reqwest::{StatusCode, header::CACHE_CONTROL};
use rustix::process::{Pid, Signal, kill_process};
use switchhook_client::ClientEvent;
use switchhook_tests::{
    admin::Admin,
    host::{Host, client_settings},
    phone::Phone,
    process::Process,
    raw::Raw,
    waiting::in_time,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::Command,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchhook-under-test");

#[tokio::test]
async fn a_server_says_that_it_lives_and_takes_work_and_what_it_counts() -> Result<()> {
    let host = Host::start().await?;
    assert_eq!(host.admin.public("healthz").await?, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(host.admin.public("readyz").await?, (StatusCode::OK, "ready\n".to_owned()));
    let phone = host.phone("+15550100").await?;

    assert_eq!(host.admin.metric("switchhook_enrolled_total").await?, Some(1.0));
    assert_eq!(host.admin.metric("switchhook_connected").await?, Some(1.0));
    let (_, text) = host.admin.public("metrics").await?;
    assert!(text.ends_with("# EOF\n"), "OpenMetrics ends so");
    for personal in ["15550100", phone.identity.push_token.as_str()] {
        assert!(!text.contains(personal), "{personal}");
    }
    Ok(())
}

#[tokio::test]
async fn no_cache_keeps_what_administrators_are_answered() -> Result<()> {
    let host = Host::start().await?;
    for path in ["openapi.json", "tenants", "relay-host"] {
        let url = format!("http://{}/admin/v1/{path}", host.addresses().http);
        let answer = in_time("the answer", reqwest::get(url)).await??;
        assert_eq!(answer.headers().get(CACHE_CONTROL).context("no word")?, "no-store", "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_nowhere_is_a_problem_with_a_code() -> Result<()> {
    let host = Host::start().await?;
    let (status, body) = host.admin.public("v2/nothing").await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains(r#""code":"not-found""#), "{body}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_asked_to_end_sends_its_clients_away_and_ends_well() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut process = Process::start(PROGRAM, &data, None).await?;
    let token = fs::read_to_string(data.join(switchhook_server::ADMIN_TOKEN))?;
    assert!(Admin::new(process.http, token.trim()).get("decisions").await.is_ok());
    let mut phone = Phone::enrol(client_settings(process.http, "default", "phone")?).await?;
    let mut stranger = Raw::connect(process.http, "default").await?;
    stranger.challenge().await?;

    process.terminate()?;

    assert_eq!(stranger.close_code().await?, 1012);
    drop(stranger);
    phone
        .expect("the end of the connection", |event| {
            matches!(event, ClientEvent::Disconnected { .. }).then_some(())
        })
        .await?;
    assert!(process.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_server_that_ends_says_that_it_is_not_ready() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut process = Process::start(PROGRAM, &folder.path().join("data"), None).await?;
    // Whoever has said nothing yet is not answered any more.
    let mut balancer = TcpStream::connect(process.http).await?;
    balancer.write_all(b"GET /readyz HTTP/1.1\r\n").await?;
    // Connections are taken in turn: with this one the balancer's is there.
    let mut stranger = Raw::connect(process.http, "default").await?;
    stranger.challenge().await?;
    process.terminate()?;
    assert_eq!(stranger.close_code().await?, 1012);

    balancer.write_all(b"host: switchhook\r\n\r\n").await?;
    let mut said = String::new();
    in_time("the answer", balancer.read_to_string(&mut said)).await??;

    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    assert!(said.contains(r#""code":"overloaded""#), "{said}");
    drop((balancer, stranger));
    assert!(process.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_while_it_starts_ends_well() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, settings) = (folder.path().join("data"), folder.path().join("settings.toml"));
    // It takes connections, and never says a word.
    let database = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    fs::write(&settings, format!("database = \"postgres://somebody@{}/nothing\"\n", database.local_addr()?))?;
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--free-ports"]).arg("--settings").arg(&settings).arg("--data").arg(&data);
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut starting = silent.kill_on_drop(true).spawn()?;
    let _waiting = in_time("the connection to its database", database.accept()).await??;

    let id = starting.id().and_then(|id| i32::try_from(id).ok()).context("it has ended")?;
    kill_process(Pid::from_raw(id).context("no process id")?, Signal::TERM)?;

    let ended = in_time("its end", starting.wait()).await??;
    assert!(ended.success(), "{ended}");
    Ok(())
}
