//! Whom an invite rings, and in what order (INV-2).
//!
//! A router sees devices as positions in a list and answers with waves of positions. A plan counts
//! only if every position exists and stands once, every time is bounded, waves are in order, and a
//! forward leads away from those who are already in the call.

use alloc::{collections::BTreeSet, string::String, vec, vec::Vec};
use core::time::Duration;

use serde::{Deserialize, Serialize};
use switchhook_protocol::endpoint::EndpointId;

use super::{Answer, InvalidRequest, MAX_MESSAGE, Request, check_requests, is_word, json};

/// Everything that a router is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The invite itself.
    pub invite: Invite,
    /// Devices that can be rung; plans name them by position.
    pub targets: Vec<Target>,
    /// How the legs of earlier plans went, if the router asked to be asked again.
    #[serde(default)]
    pub so_far: Vec<LegOutcome>,
    /// Answers to the requests of the round before.
    #[serde(default)]
    pub answers: Vec<Answer>,
}

/// Who invites whom, for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The inviter's identifier, registered to its device.
    pub inviter: EndpointId,
    /// The identifiers invited.
    pub invited: Vec<EndpointId>,
    /// What the session is for: `audio`, `video`, `chat`, `data` or a word of the application's.
    pub purpose: String,
    /// Where the inviter is connected.
    pub inviter_region: String,
}

/// Position of a device in [`Question::targets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetIndex(pub u16);

/// A device that can be rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Position of the invited identifier that reaches it.
    pub user: u16,
    /// What the device is: `phone`, `tablet`, `browser` or a word of the application's.
    pub kind: String,
    /// Where it is connected, or was last.
    pub region: String,
    /// Whether it has a connection.
    pub online: bool,
}

/// How a leg went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegResult {
    /// It rang, and still may.
    Rang,
    /// Its user said no.
    Declined,
    /// Its user is in another session.
    Busy,
    /// Its ring time is over.
    NoAnswer,
}

/// The leg of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegOutcome {
    /// Whose leg.
    pub target: TargetIndex,
    /// How it went.
    pub result: LegResult,
}

/// What a router answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Routed {
    /// Ring like this.
    Ring(Plan),
    /// Ask the tenant's service first, then the router again.
    Ask(Vec<Request>),
}

/// Waves of devices, and what follows when nobody accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// At most [`MAX_WAVES`], in the order of their start. None: nobody is rung.
    pub waves: Vec<Wave>,
    /// When the router is asked again.
    #[serde(default)]
    pub ask_again: AskAgain,
    /// What the session needs of a region.
    #[serde(default)]
    pub resources: Vec<Resource>,
    /// What happens when nobody of the waves accepts.
    pub finally: Finally,
}

/// Devices that begin to ring together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// At least one.
    pub rings: Vec<Ring>,
    /// When it starts, after the invite; at most [`MAX_START`].
    #[serde(rename = "starts_after_ms", with = "json::millis")]
    pub starts_after: Duration,
}

/// One device of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// The device.
    pub target: TargetIndex,
    /// How long it rings: [`MIN_RING_TIME`] to [`MAX_RING_TIME`].
    #[serde(rename = "ring_time_ms", with = "json::millis")]
    pub ring_time: Duration,
}

/// When a router wants to be asked again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AskAgain {
    /// Somebody is busy.
    pub busy: bool,
    /// Somebody declined.
    pub declined: bool,
    /// A ring time is over.
    pub no_answer: bool,
}

/// A thing of a region that the session needs: `relay`, `bridge`, `recorder`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// A word.
    pub kind: String,
    /// Where; anywhere if absent.
    pub region: Option<String>,
}

/// What happens when nobody accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finally {
    /// The inviter is told this word.
    GiveUp(String),
    /// The invite goes on to this identifier.
    Forward(EndpointId),
    /// The invite goes on to this address of the tenant's bridge.
    Bridge(String),
}

/// A rule of [`Routed`] that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlan {
    /// More than [`MAX_WAVES`].
    #[error("more than 8 waves")]
    TooManyWaves,
    /// A wave without a ring.
    #[error("wave {0} rings nobody")]
    EmptyWave(usize),
    /// A wave that starts before the one in front of it, or later than [`MAX_START`].
    #[error("wave {0} starts before the one in front of it, or later than 10 minutes after the invite")]
    Start(usize),
    /// No such device.
    #[error("target {} is not in the list", .0.0)]
    UnknownTarget(TargetIndex),
    /// A device stands twice.
    #[error("target {} stands twice", .0.0)]
    RepeatedTarget(TargetIndex),
    /// Shorter than [`MIN_RING_TIME`] or longer than [`MAX_RING_TIME`].
    #[error("target {} rings less than 1 second or more than 120", .0.0)]
    RingTime(TargetIndex),
    /// More than [`MAX_RESOURCES`], or one whose kind or region is no word.
    #[error("more than 8 resources, or one whose kind or region is not a word")]
    Resources,
    /// The word for giving up is no word.
    #[error("the reason for giving up is not a word")]
    GiveUp,
    /// It forwards to the inviter or to somebody invited.
    #[error("it forwards to somebody who is already in the call")]
    ForwardLoop,
    /// The bridge's address is empty, too long, or has control characters.
    #[error("the bridge's address is empty, longer than 256 bytes, or has control characters")]
    Bridge,
    /// It asks in a way that is not allowed.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
}

impl Routed {
    /// Names the first rule that it breaks, as an answer to this question.
    pub fn check(&self, question: &Question) -> Result<(), InvalidPlan> {
        match self {
            Self::Ring(plan) => plan.check(question),
            Self::Ask(requests) => Ok(check_requests(requests)?),
        }
    }
}

impl Plan {
    /// The declared default: every device at once, for [`DEFAULT_RING_TIME`].
    pub fn ring_all(targets: &[Target]) -> Self {
        let rings: Vec<Ring> = (0..=u16::MAX)
            .zip(targets)
            .map(|(index, _)| Ring { target: TargetIndex(index), ring_time: DEFAULT_RING_TIME })
            .collect();
        let wave = Wave { rings, starts_after: Duration::ZERO };
        Self {
            waves: if targets.is_empty() { vec![] } else { vec![wave] },
            ask_again: AskAgain::default(),
            resources: vec![],
            finally: Finally::GiveUp("no-answer".into()),
        }
    }

    fn check(&self, question: &Question) -> Result<(), InvalidPlan> {
        if self.waves.len() > MAX_WAVES {
            return Err(InvalidPlan::TooManyWaves);
        }
        let mut seen = BTreeSet::new();
        let mut earliest = Duration::ZERO;
        for (index, wave) in self.waves.iter().enumerate() {
            if wave.rings.is_empty() {
                return Err(InvalidPlan::EmptyWave(index));
            }
            if !(earliest..=MAX_START).contains(&wave.starts_after) {
                return Err(InvalidPlan::Start(index));
            }
            earliest = wave.starts_after;
            wave.rings.iter().try_for_each(|ring| ring.check(&question.targets, &mut seen))?;
        }
        if self.resources.len() > MAX_RESOURCES || !self.resources.iter().all(Resource::is_valid) {
            return Err(InvalidPlan::Resources);
        }
        self.finally.check(&question.invite)
    }
}

impl Ring {
    fn check(&self, targets: &[Target], seen: &mut BTreeSet<TargetIndex>) -> Result<(), InvalidPlan> {
        if usize::from(self.target.0) >= targets.len() {
            return Err(InvalidPlan::UnknownTarget(self.target));
        }
        if !seen.insert(self.target) {
            return Err(InvalidPlan::RepeatedTarget(self.target));
        }
        if !(MIN_RING_TIME..=MAX_RING_TIME).contains(&self.ring_time) {
            return Err(InvalidPlan::RingTime(self.target));
        }
        Ok(())
    }
}

impl Resource {
    fn is_valid(&self) -> bool {
        is_word(&self.kind) && self.region.as_deref().is_none_or(is_word)
    }
}

impl Finally {
    fn check(&self, invite: &Invite) -> Result<(), InvalidPlan> {
        match self {
            Self::GiveUp(reason) if !is_word(reason) => Err(InvalidPlan::GiveUp),
            Self::Forward(to) if *to == invite.inviter || invite.invited.contains(to) => {
                Err(InvalidPlan::ForwardLoop)
            }
            Self::Bridge(to)
                if to.is_empty() || to.len() > MAX_MESSAGE || to.chars().any(char::is_control) =>
            {
                Err(InvalidPlan::Bridge)
            }
            Self::GiveUp(_) | Self::Forward(_) | Self::Bridge(_) => Ok(()),
        }
    }
}

/// Most waves of a plan: each is a timer row.
pub const MAX_WAVES: usize = 8;
/// Most resources of a plan.
pub const MAX_RESOURCES: usize = 8;
/// Shortest ring: below it a person cannot react, and pushes are wasted.
pub const MIN_RING_TIME: Duration = Duration::from_secs(1);
/// Longest ring: the life of a ring push at its providers.
pub const MAX_RING_TIME: Duration = Duration::from_mins(2);
/// Latest start of a wave after its invite.
pub const MAX_START: Duration = Duration::from_mins(10);
/// Ring time of the declared default.
pub const DEFAULT_RING_TIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_default_rings_every_device_at_once_and_keeps_the_rules() {
        let question = question(5);

        let plan = Plan::ring_all(&question.targets);

        assert_eq!(plan.waves.len(), 1);
        assert_eq!(plan.waves[0].rings.len(), 5);
        assert_eq!(Routed::Ring(plan).check(&question), Ok(()));
        assert_eq!(Plan::ring_all(&[]).waves, []);
    }

    #[test]
    fn a_plan_names_each_device_of_the_list_at_most_once() {
        assert_eq!(broken(|plan| ring(plan, 0).target = TargetIndex(1)), repeated(1));
        let unknown = InvalidPlan::UnknownTarget(TargetIndex(2));
        assert_eq!(broken(|plan| ring(plan, 1).target = TargetIndex(2)), Err(unknown));
    }

    #[test]
    fn a_plans_times_are_bounded_and_in_order() {
        let short = broken(|plan| ring(plan, 0).ring_time = Duration::from_millis(999));
        assert_eq!(short, Err(InvalidPlan::RingTime(TargetIndex(0))));
        let long = broken(|plan| ring(plan, 1).ring_time = Duration::from_millis(120_001));
        assert_eq!(long, Err(InvalidPlan::RingTime(TargetIndex(1))));
        let late = broken(|plan| plan.waves[0].starts_after = Duration::from_secs(601));
        assert_eq!(late, Err(InvalidPlan::Start(0)));
        let disordered = broken(|plan| {
            let second = Ring { target: TargetIndex(1), ring_time: DEFAULT_RING_TIME };
            plan.waves[0].rings.pop();
            plan.waves[0].starts_after = Duration::from_secs(5);
            plan.waves.push(Wave { rings: vec![second], starts_after: Duration::from_secs(4) });
        });
        assert_eq!(disordered, Err(InvalidPlan::Start(1)));
    }

    #[test]
    fn a_plan_is_no_larger_than_its_rows() {
        let empty = Wave { rings: vec![], starts_after: Duration::ZERO };
        assert_eq!(broken(|plan| plan.waves.push(empty.clone())), Err(InvalidPlan::EmptyWave(1)));
        let many = broken(|plan| plan.waves = vec![empty.clone(); 9]);
        assert_eq!(many, Err(InvalidPlan::TooManyWaves));
        let resource = Resource { kind: "Relay!".into(), region: None };
        assert_eq!(broken(|plan| plan.resources.push(resource)), Err(InvalidPlan::Resources));
    }

    #[test]
    fn a_forward_leads_away_from_the_call() {
        let to = |who: &str| Finally::Forward(who.parse().unwrap());
        assert_eq!(broken(|plan| plan.finally = to("alice")), Err(InvalidPlan::ForwardLoop));
        assert_eq!(broken(|plan| plan.finally = to("bob")), Err(InvalidPlan::ForwardLoop));
        assert_eq!(broken(|plan| plan.finally = to("carol")), Ok(()));
        assert_eq!(broken(|plan| plan.finally = Finally::GiveUp("No one".into())), Err(InvalidPlan::GiveUp));
        assert_eq!(broken(|plan| plan.finally = Finally::Bridge("a\nb".into())), Err(InvalidPlan::Bridge));
    }

    fn broken(change: impl FnOnce(&mut Plan)) -> Result<(), InvalidPlan> {
        let question = question(2);
        let mut plan = Plan::ring_all(&question.targets);
        change(&mut plan);
        Routed::Ring(plan).check(&question)
    }

    fn repeated(target: u16) -> Result<(), InvalidPlan> {
        Err(InvalidPlan::RepeatedTarget(TargetIndex(target)))
    }

    fn ring(plan: &mut Plan, index: usize) -> &mut Ring {
        &mut plan.waves[0].rings[index]
    }

    fn question(devices: usize) -> Question {
        let target = Target { user: 0, kind: "phone".into(), region: "eu".into(), online: true };
        Question {
            invite: Invite {
                inviter: "alice".parse().unwrap(),
                invited: vec!["bob".parse().unwrap()],
                purpose: "audio".into(),
                inviter_region: "eu".into(),
            },
            targets: vec![target; devices],
            so_far: vec![],
            answers: vec![],
        }
    }
}
