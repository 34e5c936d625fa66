//! What an SMSC of others gets of texts of every kind, and what its answers mean.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use switchhook_core::{registration::perform::OutgoingText, relay_peers::PeerPolicy};
use switchhook_delivery::{
    GatewayPeers, Sent,
    smpp::{Account, Received, Smpp},
};
use switchhook_tests::{
    smsc::{ACCOUNT, NUMBER, Smsc},
    waiting::in_time,
};
use tokio::{io::AsyncReadExt as _, net::TcpListener, sync::mpsc};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// REG-3
#[tokio::test]
async fn reg_3_a_long_text_is_joined_of_parts_in_each_alphabet() -> Result<()> {
    let Some(mut desk) = Desk::bound("reg_3_a_long_text_is_joined_of_parts_in_each_alphabet", 10).await?
    else {
        return Ok(());
    };
    for (text, coding, parts) in [
        ("Your code is {123456} €".to_owned(), 0, 1),
        ("0123456789".repeat(40), 0, 3),
        ("Ваш код 😀 123456. ".repeat(10), 8, 3),
    ] {
        let outgoing = outgoing(&text);
        let (sent, submitted) = tokio::join!(desk.smpp.send(&outgoing), next(&mut desk.smsc, parts));
        let submitted = submitted?;
        let last = submitted.last().context("nothing")?;
        ensure!(sent == Sent::Taken { reference: last["id"].as_str().map(str::to_owned) }, "{sent:?}");
        let joined: String = submitted.iter().filter_map(|part| part["text"].as_str()).collect();
        ensure!(joined == text, "{joined}");
        ensure!(submitted.iter().all(|part| part["coding"] == coding), "{submitted:?}");
        let receipts = submitted.iter().filter(|part| part["receipt"] == 1).count();
        ensure!(receipts == 1 && last["receipt"] == 1, "{submitted:?}");
    }
    Ok(())
}

#[tokio::test]
async fn reg_3_a_refusal_fails_a_text_and_an_smsc_without_room_is_asked_again() -> Result<()> {
    let test = "reg_3_a_refusal_fails_a_text_and_an_smsc_without_room_is_asked_again";
    let Some(mut desk) = Desk::bound(test, 10).await? else { return Ok(()) };
    desk.smsc.tell(&json!({ "answer": 0x0b })).await?;
    ensure!(desk.smpp.send(&outgoing("refused")).await == Sent::Refused(0x0b));
    desk.smsc.next("submitted").await?;

    desk.smsc.tell(&json!({ "answer": 0x58 })).await?;
    let smpp = desk.smpp.clone();
    let sending = desk.tasks.spawn(async move { smpp.send(&outgoing("throttled")).await });
    desk.smsc.next("submitted").await?;
    desk.smsc.tell(&json!({ "answer": 0 })).await?;
    desk.smsc.next("submitted").await?;
    ensure!(matches!(in_time("the text", sending).await??, Sent::Taken { .. }));
    Ok(())
}

#[tokio::test]
async fn reg_3_what_was_submitted_when_the_connection_broke_is_in_doubt() -> Result<()> {
    let test = "reg_3_what_was_submitted_when_the_connection_broke_is_in_doubt";
    let Some(mut desk) = Desk::bound(test, 10).await? else { return Ok(()) };
    desk.smsc.tell(&json!({ "answer": null })).await?;
    let smpp = desk.smpp.clone();
    let sending = desk.tasks.spawn(async move { smpp.send(&outgoing("doubt")).await });
    desk.smsc.next("submitted").await?;
    desk.smsc.tell(&json!({ "drop": true })).await?;
    ensure!(in_time("the text", sending).await?? == Sent::InDoubt);
    Ok(())
}

#[tokio::test]
async fn reg_3_no_more_is_submitted_than_the_window_allows() -> Result<()> {
    let Some(mut desk) = Desk::bound("reg_3_no_more_is_submitted_than_the_window_allows", 2).await? else {
        return Ok(());
    };
    desk.smsc.tell(&json!({ "answer": null })).await?;
    let texts = ["one", "two", "three"].map(|text| {
        let smpp = desk.smpp.clone();
        desk.tasks.spawn(async move { smpp.send(&outgoing(text)).await })
    });
    for _ in 0..2 {
        desk.smsc.next("submitted").await?;
    }
    // A third text that had been submitted would be in doubt with the others, as they are when the connection ends.
    desk.smsc.tell(&json!({ "drop": true })).await?;
    desk.smsc.next("closed").await?;
    let mut outcomes = Vec::new();
    for text in texts {
        outcomes.push(in_time("the text", text).await??);
    }
    ensure!(outcomes.iter().filter(|sent| **sent == Sent::InDoubt).count() == 2, "{outcomes:?}");
    ensure!(outcomes.contains(&Sent::NotReached), "{outcomes:?}");
    Ok(())
}

#[tokio::test]
async fn reg_3_a_host_that_stops_waits_for_what_it_submitted_and_takes_nothing_new() -> Result<()> {
    let test = "reg_3_a_host_that_stops_waits_for_what_it_submitted_and_takes_nothing_new";
    let Some(Desk { mut smsc, smpp, tasks, _received, stop }) = Desk::bound(test, 10).await? else {
        return Ok(());
    };
    smsc.tell(&json!({ "answer": null })).await?;
    let sending = tasks.spawn(async move { smpp.send(&outgoing("the last")).await });
    let submitted = smsc.next("submitted").await?;

    drop(stop);
    ensure!(smsc.text("+15550100", "hello").await? == LATER, "a text is taken");
    smsc.tell(&json!({ "settle": 0 })).await?;

    let reference = submitted["id"].as_str().map(str::to_owned);
    ensure!(in_time("the text", sending).await?? == Sent::Taken { reference });
    smsc.next("unbound").await.map(drop)
}

#[tokio::test]
async fn reg_3_a_text_of_which_only_the_beginning_was_taken_is_in_doubt() -> Result<()> {
    let test = "reg_3_a_text_of_which_only_the_beginning_was_taken_is_in_doubt";
    let Some(mut desk) = Desk::bound(test, 10).await? else { return Ok(()) };
    desk.smsc.tell(&json!({ "answer": null })).await?;
    let smpp = desk.smpp.clone();
    let long = outgoing(&"0123456789".repeat(20));
    let sending = desk.tasks.spawn(async move { smpp.send(&long).await });
    for status in [0, 0x0b] {
        desk.smsc.next("submitted").await?;
        desk.smsc.tell(&json!({ "settle": status })).await?;
    }
    ensure!(in_time("the text", sending).await?? == Sent::InDoubt);
    Ok(())
}

#[tokio::test]
async fn reg_3_a_wrong_password_does_not_bind() -> Result<()> {
    let Some(mut smsc) = Smsc::start("reg_3_a_wrong_password_does_not_bind").await? else { return Ok(()) };
    let desk = Desk::start(Account { password: "wrong".to_owned(), ..account(&smsc, 10) });
    smsc.next("refused").await?;
    ensure!(!desk.smpp.is_bound());
    Ok(())
}

#[tokio::test]
async fn reg_3_an_smsc_that_takes_connections_and_says_nothing_is_left_and_tried_again() -> Result<()> {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let Unbound { smpp, tasks, stop, .. } = Desk::start(account_at(silent.local_addr()?, 10));
    let smpp_of_text = smpp.clone();
    let sending = tasks.spawn(async move { smpp_of_text.send(&outgoing("nobody hears")).await });
    for _ in 0..2 {
        let (mut tcp, _) = in_time("a connection", silent.accept()).await??;
        let mut said = Vec::new();
        in_time("its end", tcp.read_to_end(&mut said)).await??;
        // A bind_transceiver (SMPP 3.4, 5.1.2.1), and nothing after it.
        ensure!(said.get(4..8) == Some(&[0, 0, 0, 9]) && !smpp.is_bound(), "{said:?}");
    }
    ensure!(in_time("the text", sending).await?? == Sent::NotReached);
    drop(stop);
    Ok(())
}

/// SMPP's status of what is to come again.
const LATER: u64 = 0x64;

/// A gateway that is bound to an SMSC.
struct Desk {
    smsc: Smsc,
    smpp: Smpp,
    tasks: TaskTracker,
    _received: mpsc::Receiver<Received>,
    stop: DropGuard,
}

/// One that is not.
struct Unbound {
    smpp: Smpp,
    tasks: TaskTracker,
    received: mpsc::Receiver<Received>,
    stop: DropGuard,
}

impl Desk {
    async fn bound(test: &str, window: usize) -> Result<Option<Self>> {
        let Some(mut smsc) = Smsc::start(test).await? else { return Ok(None) };
        let Unbound { smpp, tasks, received, stop } = Self::start(account(&smsc, window));
        smsc.next("bound").await?;
        Ok(Some(Self { smsc, smpp, tasks, _received: received, stop }))
    }

    fn start(account: Account) -> Unbound {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (heard, received) = mpsc::channel(4);
        let peers = PeerPolicy { allow_loopback: true, ..PeerPolicy::default() };
        let smpp = Smpp::start(account, GatewayPeers::new(peers, None), heard, &tasks, &stop);
        Unbound { smpp, tasks, received, stop: stop.drop_guard() }
    }
}

fn account(smsc: &Smsc, window: usize) -> Account {
    account_at(smsc.addr, window)
}

fn account_at(addr: SocketAddr, window: usize) -> Account {
    let (system_id, password) = ACCOUNT;
    Account {
        address: addr.to_string(),
        tls: false,
        system_id: system_id.to_owned(),
        password: password.to_owned(),
        system_type: String::new(),
        unknown_is_international: false,
        window,
        number: NUMBER.to_owned(),
    }
}

fn outgoing(text: &str) -> OutgoingText {
    OutgoingText { to: "+15550100".parse().unwrap(), text: text.to_owned(), signature: None }
}

/// The next parts that the SMSC gets.
async fn next(smsc: &mut Smsc, parts: usize) -> Result<Vec<Value>> {
    let mut submitted = Vec::new();
    for _ in 0..parts {
        submitted.push(smsc.next("submitted").await?);
    }
    Ok(submitted)
}
