//! How the ringing of one invited user goes on: asked again on busy, decline and no answer, or forwarded
//! (INV-2, INV-4, INV-15).
//!
//! A plan may ask to be asked again, or name somebody to go on to. What that needs later is sealed
//! into the user's invitation, apart from every other user's. When the moment comes, a timer is armed
//! for now in the same transaction; whichever node claims it asks the router about this one user's
//! devices, with their outcomes so far, and [`go_on`](super::going_on::go_on) makes of its new plan new legs.
//!
//! Bounded: at most [`MAX_PLANS`] plans and [`MAX_FORWARDS`] forwards a user, never to somebody
//! who is in the call or was forwarded to before. Then the user has not answered, and the inviter is told the
//! last plan's word.

use alloc::{string::String, vec::Vec};

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{endpoint::EndpointId, id::SessionId, time::Timestamp};

use super::{
    invite::{Reachable, most},
    routing::Asked,
};
use crate::{
    policy::route::{AskAgain, Finally, LegOutcome, LegResult, Plan, TargetIndex},
    row::{Forward, Invitation, Leg, LegState, Target, Write},
    seal::{KeyRing, Purpose},
};

/// Most plans of one user: a router that always wants to be asked again ends here.
pub const MAX_PLANS: u8 = 8;

/// Most forwards of one user: longer chains are loops that somebody configured by mistake.
pub const MAX_FORWARDS: usize = 4;

/// The word of the declared default.
pub(crate) const DEFAULT_WORD: &str = "no-answer";

/// How the ringing of one user goes on; at the invite, that of all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// The devices that the router was told of; plans name them by position.
    pub targets: Vec<Reachable>,
    /// When the router wants to be asked again.
    pub ask_again: AskAgain,
    /// What happens when nobody accepts.
    pub finally: Finally,
    /// How many plans counted.
    pub plans: u8,
    /// Whom it was forwarded to.
    pub forwarded: Vec<EndpointId>,
    /// Who is in the call already.
    in_call: Vec<EndpointId>,
}

impl Course {
    /// Before the router was asked.
    pub fn new(asked: &Asked, targets: Vec<Reachable>) -> Self {
        let in_call = core::iter::once(&asked.from).chain(&asked.invited).cloned().collect();
        Self {
            targets,
            ask_again: AskAgain::default(),
            finally: Finally::GiveUp(DEFAULT_WORD.into()),
            plans: 0,
            forwarded: Vec::new(),
            in_call,
        }
    }

    /// Opens what a user's invitation has; none if nothing goes on.
    pub fn of(invitation: &Invitation, keys: &KeyRing) -> Option<Self> {
        invitation.course.as_deref().and_then(|sealed| keys.open(Purpose::Course, sealed).ok())
    }

    /// Seals it for the user's invitation; none if nothing would go on.
    pub fn seal(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> Option<String> {
        let AskAgain { busy, declined, no_answer } = self.ask_again;
        // The word for giving up is part of what goes on, unless it is the declared default's.
        let word = !matches!(&self.finally, Finally::GiveUp(word) if word == DEFAULT_WORD);
        (busy || declined || no_answer || word).then(|| keys.seal(Purpose::Course, self, rng))
    }

    /// After a plan, as it is for one user.
    #[must_use]
    pub fn planned(&self, plan: &Plan, user: u16) -> Self {
        Self {
            targets: self.targets.iter().filter(|it| it.user == user).cloned().collect(),
            ask_again: plan.ask_again,
            finally: plan.finally.clone(),
            plans: self.plans.saturating_add(1),
            ..self.clone()
        }
    }

    /// Whether the router is asked again when a leg has come to this.
    pub(crate) const fn after(&self, result: LegResult) -> bool {
        let AskAgain { busy, declined, no_answer } = self.ask_again;
        self.plans < MAX_PLANS
            && match result {
                LegResult::Busy => busy,
                LegResult::Declined => declined,
                LegResult::NoAnswer => no_answer,
                LegResult::Rang => false,
            }
    }

    /// To whom it goes on when nobody accepts.
    pub fn forward(&self) -> Option<&EndpointId> {
        let Finally::Forward(to) = &self.finally else { return None };
        self.may_forward(to).then_some(to)
    }

    /// Whether it may go on to this identifier.
    pub fn may_forward(&self, to: &EndpointId) -> bool {
        let known = self.in_call.contains(to) || self.forwarded.contains(to);
        !known && self.forwarded.len() < MAX_FORWARDS
    }

    /// Goes on to the devices of an identifier, as the same user, as far as there is room.
    pub fn forward_to(&mut self, to: &EndpointId, user: u16, devices: Vec<Target>, fan_out: u32) {
        self.forwarded.push(to.clone());
        self.learn(user, devices, fan_out);
    }

    /// The rows that say to whom a user's ringing went on.
    pub(crate) fn forwards(
        &self,
        (session, user): (&SessionId, u16),
        at: Timestamp,
    ) -> impl Iterator<Item = Write> {
        self.forwarded
            .iter()
            .map(move |to| Write::Forward(Forward { session: session.clone(), user, to: to.clone(), at }))
    }

    /// Adds devices of this user until it has `fan_out`; those that are known already stay as they are.
    pub fn learn(&mut self, user: u16, devices: Vec<Target>, fan_out: u32) {
        let room = most(fan_out).saturating_sub(self.targets.len());
        let new = |target: &Target| !self.targets.iter().any(|known| known.target.device == target.device);
        let learned: Vec<Target> = devices.into_iter().filter(new).take(room).collect();
        self.targets.extend(learned.into_iter().map(|target| Reachable { user, target }));
    }

    /// How the legs went until now, as the router is told.
    pub fn so_far(&self, legs: &[Leg], now: Timestamp) -> Vec<LegOutcome> {
        let outcome = |(index, reachable): (u16, &Reachable)| {
            let leg = legs.iter().find(|leg| leg.device == reachable.target.device)?;
            Some(LegOutcome { target: TargetIndex(index), result: result(leg, now)? })
        };
        (0..=u16::MAX).zip(&self.targets).filter_map(outcome).collect()
    }

    /// The word that the inviter is told when it is over; none if it is the declared default's.
    pub(crate) fn word(&self) -> Option<String> {
        match &self.finally {
            Finally::GiveUp(word) => (word != DEFAULT_WORD).then(|| word.clone()),
            Finally::Forward(_) => None,
            Finally::Bridge(_) => Some(String::from("no-bridge")),
        }
    }
}

/// What a leg has come to; none if its wave has not begun.
fn result(leg: &Leg, now: Timestamp) -> Option<LegResult> {
    match leg.state {
        LegState::Planned => None,
        LegState::Queued | LegState::Pushed | LegState::Rang if !leg.rings_at(now) => {
            Some(LegResult::NoAnswer)
        }
        LegState::Queued | LegState::Pushed | LegState::Rang | LegState::Offered | LegState::Taken => {
            Some(LegResult::Rang)
        }
        LegState::Declined => Some(LegResult::Declined),
        LegState::Busy => Some(LegResult::Busy),
        LegState::Stopped | LegState::StopConfirmed => Some(LegResult::NoAnswer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        invitation::testing::{
            NOW, PHONE, RungCall, TABLET, course, invite_request, reachable, ring_all, ringing,
        },
        testing::TestRng,
    };

    const CAROL: &str = "+15550102";

    fn both() -> Course {
        course(alloc::vec![reachable(PHONE), reachable(TABLET)])
    }

    #[test]
    fn a_user_is_forwarded_to_nobody_twice_and_not_for_ever() {
        let mut course = both();
        let to = |who: &str| -> EndpointId { who.parse().unwrap() };
        let request = invite_request();
        assert!(!course.may_forward(&request.from) && !course.may_forward(&request.invited[0]));
        course.finally = Finally::Forward(to(CAROL));
        assert_eq!(course.forward(), Some(&to(CAROL)));

        let found = alloc::vec![reachable("carol-phone").target, reachable(PHONE).target];
        course.forward_to(&to(CAROL), 0, found, 64);

        let devices: Vec<&str> = course.targets.iter().map(|it| it.target.device.as_str()).collect();
        assert_eq!(devices, [PHONE, TABLET, "carol-phone"], "known devices keep their positions");
        assert_eq!(course.forward(), None);
        for who in 0..MAX_FORWARDS - 1 {
            course.forward_to(&to(&alloc::format!("somebody-{who}")), 0, Vec::new(), 64);
        }
        assert!(!course.may_forward(&to("one-more")));
    }

    #[test]
    fn who_is_forwarded_to_many_devices_reaches_no_more_than_an_invite_does() {
        let found: Vec<_> = (0..9).map(|index| reachable(&alloc::format!("new-{index}")).target).collect();
        let mut course = both();
        course.forward_to(&CAROL.parse().unwrap(), 0, found.clone(), 5);
        assert_eq!(course.targets.len(), 5);
        course.learn(0, found, 3);
        assert_eq!(course.targets.len(), 5, "what is known stays");
    }

    #[test]
    fn what_goes_on_is_sealed_into_the_users_invitation_and_only_then() {
        let rung = ringing(&[PHONE]);
        let mut course = both();
        course.plans = 1;
        assert_eq!(course.seal(&rung.keys, &mut TestRng(1)), None, "nothing goes on");
        course.ask_again.no_answer = true;
        let sealed = course.seal(&rung.keys, &mut TestRng(1));
        let invitation = Invitation { course: sealed, ..rung.invitation };
        assert_eq!(Course::of(&invitation, &rung.keys), Some(course.clone()));
        assert!(course.after(LegResult::NoAnswer) && !course.after(LegResult::Declined));
        course.plans = MAX_PLANS;
        assert!(!course.after(LegResult::NoAnswer), "a router is not asked for ever");
    }

    #[test]
    fn inv_4_a_ring_that_nobody_answered_in_its_own_time_is_told_as_that() {
        let mut rung = ringing(&[PHONE, TABLET]);
        let over = rung.legs[0].lease_until;
        rung.legs[1].state = LegState::Offered;
        let results = |rung: &RungCall, at| -> Vec<LegResult> {
            both().so_far(&rung.legs, at).into_iter().map(|it| it.result).collect()
        };
        for state in [LegState::Queued, LegState::Pushed, LegState::Rang] {
            rung.legs[0].state = state;
            assert_eq!(results(&rung, NOW), [LegResult::Rang, LegResult::Rang]);
            assert_eq!(results(&rung, over), [LegResult::NoAnswer, LegResult::Rang], "an offer has no lease");
        }
    }

    #[test]
    fn inv_15_each_user_goes_on_with_its_own_devices() {
        let carol = Reachable { user: 1, ..reachable("carol-phone") };
        let course = course(alloc::vec![reachable(PHONE), carol.clone()]);

        let planned = course.planned(&ring_all(2), 1);

        assert_eq!((planned.targets, planned.plans), (alloc::vec![carol], 1));
    }
}
