//! The root keys are rotated over nodes that run, one node after the other in each step.

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use serde_json::json;
use switchhook_client::ClientEvent;
use switchhook_protocol::{
    client::Signal,
    close::CloseCode,
    event::{Event, Rung},
    id::SessionId,
    invitation::{Accepted, Invite},
    session::End,
};
use switchhook_server::DEFAULT_TENANT;
use switchhook_tests::{
    host::client_settings,
    phone::{Phone, open},
    waiting::in_time,
};
use tokio::time::{Duration, interval};

use crate::stage::{NODES, Somebody, Stage};

/// What `root.keys` says at a step of a rotation.
type Step = fn(old: &str, new: &str) -> Vec<String>;

const STEPS: [Step; 3] = [
    |old, new| vec![old.to_owned(), new.to_owned()],
    |old, new| vec![new.to_owned(), old.to_owned()],
    |_, new| vec![new.to_owned()],
];

/// A call that rings.
struct Ringing {
    from: usize,
    to: usize,
    invite: Invite,
    rung: Rung,
}

/// Whatever two steps nodes are at, what one of them sealed opens at the others, and what one says the others hear.
#[tokio::test]
async fn inv_11_keys_are_rotated_node_by_node_and_nothing_is_refused_meanwhile() -> Result<()> {
    let name = "inv_11_keys_are_rotated_node_by_node_and_nothing_is_refused_meanwhile";
    let Some(mut stage) = Stage::start(name).await? else { return Ok(()) };
    let mut people = try_join_all((0..NODES).map(|node| stage.stranger("phone", node))).await?;
    for (person, somebody) in people.iter_mut().enumerate() {
        somebody.phone.register(&stage.transit.carrier, &number(person).parse()?).await?;
    }
    let (old, new) = (stage.node(0)?.keys()?.trim().to_owned(), "5a".repeat(32));
    for step in STEPS {
        for node in 0..NODES {
            // They ring while the node is away, and are accepted when it is back with other keys.
            let mut calls = Vec::new();
            for from in 0..NODES {
                calls.push(ring(&mut people, from).await?);
            }
            leave(&stage, &people, node)?;
            stage.stop(node).await?;
            stage.node(node)?.write_keys(&step(&old, &new).join("\n"))?;
            stage.start_again(node).await?;
            for somebody in people.iter().filter(|it| it.node == node) {
                somebody.front.point_at(stage.node(node)?.process.http);
            }
            for call in calls {
                carry(&mut people, call).await?;
            }
            let next = (node + 1) % NODES;
            for between in [(node, next), (next, node)] {
                is_replaced(&stage, between).await?;
            }
        }
    }
    Ok(())
}

/// A balancer sends those who are at the node to another while it is away.
fn leave(stage: &Stage, people: &[Somebody], node: usize) -> Result<()> {
    let next = stage.node((node + 1) % NODES)?.process.http;
    people.iter().filter(|it| it.node == node).for_each(|it| it.front.prefer(next));
    Ok(())
}

async fn ring(people: &mut [Somebody], from: usize) -> Result<Ringing> {
    let to = (from + 1) % NODES;
    let inviter = at(people, from)?;
    let prepared = inviter.phone.prepare(&open()).await?;
    let key = Some(format!("ring-{:x}", rand::random::<u64>()).parse()?);
    let invite = Invite { idempotency_key: key, ..inviter.phone.invite_of(&prepared, &[&number(to)])? };
    let session = asked(inviter, &invite).await?;
    let of_session = |event: &Event| {
        let Event::Invite(rung) = event else { return None };
        (rung.session == session).then(|| rung.clone())
    };
    let rung = at(people, to)?.phone.expect_event("the ring", of_session).await?;
    Ok(Ringing { from, to, invite, rung })
}

/// The session of an invite, however often it was sent.
async fn asked(inviter: &Somebody, invite: &Invite) -> Result<SessionId> {
    let status = inviter.insist("an invite", async |phone| Ok(phone.client.invite(invite).await)).await?;
    Ok(status.session)
}

/// Its invite is known when it comes again; accepted, both hear each other's live messages, and it ends by a ticket of
/// before.
async fn carry(people: &mut [Somebody], Ringing { from, to, invite, rung }: Ringing) -> Result<()> {
    assert_eq!(asked(at(people, from)?, &invite).await?, rung.session, "it rings once");
    let accept = async |phone: &Phone| phone.accept(&rung).await;
    let accepted = at(people, to)?.insist("the accept", accept).await?;
    let taken = at(people, from)?.phone.expect_accept(&rung.session).await?;
    assert_eq!(taken.media_key, accepted.media_key);
    says(people, (from, to), &taken).await?;
    says(people, (to, from), &accepted).await?;
    let end = End { ticket: accepted.ticket, reason: "hung-up".to_owned() };
    at(people, to)?.insist("the end", async |phone| Ok(phone.client.end(&end).await)).await?;
    Ok(())
}

/// Said again and again, as the bus may lose it, until it is heard.
async fn says(people: &mut [Somebody], (from, to): (usize, usize), call: &Accepted) -> Result<()> {
    let words = json!(format!("{from} to {to} of {}", call.session));
    let [speaker, hearer] = people.get_disjoint_mut([from, to])?;
    let signal = Signal { ticket: call.ticket.clone(), to: call.peer.alias.clone(), data: words.clone() };
    let speaking = async {
        let mut again = interval(Duration::from_millis(50));
        loop {
            again.tick().await;
            speaker.insist("a signal", async |phone| Ok(phone.client.signal(signal.clone()).await)).await?;
        }
    };
    let said = |event: &ClientEvent| {
        let ClientEvent::Signal(signal) = event else { return None };
        (signal.data == words).then_some(())
    };
    tokio::select! {
        heard = hearer.phone.expect("the words", said) => heard,
        failed = speaking => failed,
    }
}

/// Of two connections of one device at two nodes the former one hears of the latter.
async fn is_replaced(stage: &Stage, (former, latter): (usize, usize)) -> Result<()> {
    let mut first = stage.stranger("tablet", former).await?;
    let settings = client_settings(stage.node(latter)?.process.http, DEFAULT_TENANT, "tablet")?;
    let _second = in_time("the connection", Phone::connect(settings, first.phone.identity.clone())).await??;
    let replaced = |event: &ClientEvent| {
        let ClientEvent::Ended(finished) = event else { return None };
        Some(finished.code)
    };
    let code = first.phone.expect("the end of the first", replaced).await?;
    assert_eq!(code, CloseCode::Replaced.row().code);
    Ok(())
}

fn number(person: usize) -> String {
    format!("+155503{person:02}")
}

fn at(people: &mut [Somebody], person: usize) -> Result<&mut Somebody> {
    people.get_mut(person).context("nobody")
}
