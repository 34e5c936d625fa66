//! Routers that both sides ask: the reference, and the system by a transport in this process.

use std::time::Duration;

use serde_json::{Value, json};
use switchhook_core::policy::route::{AskAgain, Finally, Plan, Question, Ring, TargetIndex, Wave};
use switchhook_plugin_runtime::{Carried, Transport};

use crate::people::CAROL;

/// How a session is routed; its word is the invite's purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Router {
    /// Everybody at once.
    All,
    /// Phones, and five seconds later the rest.
    Waves,
    /// Phones, and the rest when they are busy, decline or do not answer.
    Again,
    /// Phones, and the rest late; at once when a phone declines.
    Pull,
    /// Everybody at once, then on to Carol.
    Forward,
}

/// A device as a router sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) kind: &'a str,
    /// It has an outcome already.
    pub(crate) tried: bool,
}

impl Router {
    pub(crate) const ALL: [Self; 5] = [Self::All, Self::Waves, Self::Again, Self::Pull, Self::Forward];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Waves => "waves",
            Self::Again => "again",
            Self::Pull => "pull",
            Self::Forward => "forward",
        }
    }

    /// What it answers.
    pub(crate) fn plan(self, targets: &[Seen<'_>]) -> Plan {
        let untried = |wanted: &dyn Fn(&str) -> bool| -> Vec<u16> {
            let of_kind = (0..).zip(targets).filter(|(_, target)| !target.tried && wanted(target.kind));
            of_kind.map(|(index, _)| index).collect()
        };
        let (phones, others) = (untried(&|kind| kind == "phone"), untried(&|kind| kind != "phone"));
        let first = !targets.iter().any(|target| target.tried);
        match self {
            Self::All => plan(vec![(0, 20, untried(&|_| true))], false, give_up("no-answer")),
            Self::Waves => plan(vec![(0, 12, phones), (5, 15, others)], false, give_up("nobody")),
            Self::Again if phones.is_empty() => plan(vec![(0, 9, others)], true, give_up("nobody")),
            Self::Again => plan(vec![(0, 8, phones)], true, give_up("nobody")),
            Self::Pull if first => plan(vec![(0, 8, phones), (12, 9, others)], true, give_up("nobody")),
            Self::Pull => plan(vec![(0, 7, others)], true, give_up("nobody")),
            Self::Forward if first => {
                plan(vec![(0, 10, untried(&|_| true))], false, Finally::Forward(CAROL.parse().unwrap()))
            }
            Self::Forward => plan(vec![(0, 10, untried(&|_| true))], false, give_up("nobody")),
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|router| router.word() == word)
    }
}

fn give_up(word: &str) -> Finally {
    Finally::GiveUp(word.to_owned())
}

/// Waves as start and ring time in seconds, and devices; those without devices are none.
fn plan(waves: Vec<(u64, u64, Vec<u16>)>, always_again: bool, finally: Finally) -> Plan {
    let wave = |(start, ring_time, devices): (u64, u64, Vec<u16>)| Wave {
        rings: (devices.into_iter())
            .map(|index| Ring { target: TargetIndex(index), ring_time: Duration::from_secs(ring_time) })
            .collect(),
        starts_after: Duration::from_secs(start),
    };
    let again = always_again;
    Plan {
        waves: waves.into_iter().filter(|(.., devices)| !devices.is_empty()).map(wave).collect(),
        ask_again: AskAgain { busy: again, declined: again, no_answer: again },
        resources: vec![],
        finally,
    }
}

/// The routers, as a tenant's service that answers at once.
#[derive(Debug)]
pub(crate) struct InThisProcess;

impl Transport for InThisProcess {
    fn ask(&self, question: Vec<u8>, _deadline: Duration) -> Carried<'_> {
        Box::pin(async move {
            let asked: Value = serde_json::from_slice(&question).map_err(|error| error.to_string())?;
            let answer = answer(&asked).ok_or("it is not asked about an invite")?;
            serde_json::to_vec(&answer).map_err(|error| error.to_string())
        })
    }
}

/// What a tenant's service answers; none, if it is not asked about an invite.
pub(crate) fn answer(asked: &Value) -> Option<Value> {
    let question: Question = serde_json::from_value(asked.get("route")?.clone()).ok()?;
    let router = Router::of_word(&question.invite.purpose)?;
    let tried = |index: u16| question.so_far.iter().any(|leg| leg.target == TargetIndex(index));
    let targets = (0..).zip(&question.targets);
    let targets: Vec<Seen<'_>> =
        targets.map(|(index, it)| Seen { kind: &it.kind, tried: tried(index) }).collect();
    Some(json!({ "ring": router.plan(&targets) }))
}
