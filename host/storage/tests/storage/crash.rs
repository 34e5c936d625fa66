//! A process that is killed: what it confirmed is there.
//!
//! The child is this test program, running [`child`] alone on the database it is told.

use std::process::Stdio;

use switchhook_core::row::Write;
use switchhook_storage::{Database, Storage};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::fixture::{session, session_id, settings, tenant};

const DATABASE: &str = "SWITCHHOOK_TEST_DATABASE";
#[cfg(feature = "fail-points")]
const FAIL_POINT: &str = "SWITCHHOOK_TEST_FAIL_POINT";
const CONFIRMED: &str = "confirmed ";

on_each_database! {
    async fn inv_11_nothing_confirmed_is_lost_when_the_process_is_killed(fixture) {
        let mut fixture = fixture;
        fixture.storage.close().await;
        let (mut child, mut lines) = start(Command::new(std::env::current_exe().unwrap()), &fixture.database);

        let mut confirmed = Vec::new();
        while confirmed.len() < 500 {
            confirmed.push(next_confirmed(&mut lines).await.unwrap());
        }
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        while let Some(last) = next_confirmed(&mut lines).await {
            confirmed.push(last);
        }

        fixture.reopen().await;
        for name in confirmed {
            assert!(fixture.acme().sessions().get(&session_id(&name)).await.unwrap().is_some(), "{name}");
        }
    }
}

#[cfg(feature = "fail-points")]
#[tokio::test]
async fn a_process_dies_before_or_after_a_named_commit() {
    for (moment, stored) in [("before", false), ("after", true)] {
        let mut fixture = crate::fixture::Fixture::sqlite().await;
        fixture.storage.close().await;
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(FAIL_POINT, format!("commit.invite.{moment}"));
        let (mut child, mut lines) = start(command, &fixture.database);

        assert_eq!(next_confirmed(&mut lines).await, None);
        assert!(!child.wait().await.unwrap().success());

        fixture.reopen().await;
        let found = fixture.acme().sessions().get(&session_id("call-0")).await.unwrap();
        assert_eq!(found.is_some(), stored, "{moment}");
    }
}

/// Commits until it is killed, and says what was confirmed. Does nothing unless it is told a database.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "it talks to the process that started it")]
async fn child() {
    let Ok(database) = std::env::var(DATABASE) else { return };
    #[cfg(feature = "fail-points")]
    if let Ok(point) = std::env::var(FAIL_POINT) {
        fail::cfg(point, "return").unwrap();
    }
    let database = if database.starts_with("postgres:") {
        Database::Postgres { url: database }
    } else {
        Database::Sqlite { path: database.into() }
    };
    let storage = Storage::open(settings(database)).await.unwrap();
    let acme = storage.of(&tenant("acme"));
    for number in 0_u64.. {
        let name = format!("call-{number}");
        acme.commit("invite", vec![Write::OpenSession(session(&name))]).await.unwrap();
        println!("{CONFIRMED}{name}");
    }
}

fn start(mut command: Command, database: &Database) -> (Child, Lines<BufReader<ChildStdout>>) {
    let database = match database {
        Database::Sqlite { path } => path.as_os_str(),
        Database::Postgres { url } => url.as_ref(),
    };
    let arguments = ["--exact", "crash::child", "--nocapture", "--test-threads=1"];
    let command =
        command.args(arguments).env(DATABASE, database).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The next call that the child says it has confirmed; none when it has ended.
async fn next_confirmed(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Some(line) = lines.next_line().await.unwrap() {
        // The test harness begins its own line before the test runs.
        if let Some((_, name)) = line.split_once(CONFIRMED) {
            return Some(name.to_owned());
        }
    }
    None
}
