//! A plan for a user who rings already: new legs, or the end of it (INV-2, INV-4).

use alloc::vec::Vec;
use core::time::Duration;

use rand_core::CryptoRng;
use switchhook_protocol::{
    event::{Event, Rerouted},
    id::DeviceId,
    invitation::{StopReason, UserOutcome},
    time::{Timestamp, millis},
};

use super::{
    answer::outcome,
    course::Course,
    legs::{LegMaker, Planned, rung_device},
    message,
    routing::Routing,
    set_invitation, stop,
};
use crate::{
    policy::route::Plan,
    row::{Device, Invitation, InvitationState, Leg, LegState, Session, Timer, TimerKind, Write},
    seal::KeyRing,
};

/// A timer that has the router asked again, now.
pub(crate) fn reroute(invitation: &Invitation, now: Timestamp) -> Write {
    let kind = TimerKind::Reroute(invitation.user);
    Write::Arm(Timer { session: invitation.session.clone(), kind, due_at: now })
}

/// What a plan for a session that rings is made to happen from.
#[derive(Debug, Clone, Copy)]
pub struct GoingOn<'a> {
    /// The tenant's keys.
    pub keys: &'a KeyRing,
    /// The session's row.
    pub session: &'a Session,
    /// What its row has sealed.
    pub routing: &'a Routing,
    /// The inviter's device.
    pub inviter: &'a Device,
    /// Whose ringing goes on.
    pub invitation: &'a Invitation,
    /// All legs of the session.
    pub legs: &'a [Leg],
    /// When.
    pub now: Timestamp,
}

/// Makes of a router's new plan new legs of one user; or ends it for that user.
pub fn go_on(facts: GoingOn<'_>, course: &Course, plan: &Plan, rng: &mut impl CryptoRng) -> Vec<Write> {
    if facts.invitation.state != InvitationState::Ringing {
        return Vec::new();
    }
    let course = course.planned(plan, facts.invitation.user);
    let rings: Vec<Planned<'_>> = Planned::of(plan, &course.targets, facts.next_wave())
        .into_iter()
        .filter(|ring| facts.is_free(&ring.of.target.device))
        .collect();
    let mut writes = alloc::vec![Write::SetCourse {
        session: facts.session.id.clone(),
        user: facts.invitation.user,
        course: course.seal(facts.keys, rng),
    }];
    writes.extend(course.forwards((&facts.session.id, facts.invitation.user), facts.now));
    match rings.iter().map(Planned::ends_after).max() {
        Some(longest) => writes.extend(facts.ring(&rings, longest, rng)),
        None if facts.still_rings() => {}
        // The last ring was over while the router was asked.
        None if course.forward().is_some() => writes.push(reroute(facts.invitation, facts.now)),
        None => writes.extend(facts.over(&course, rng)),
    }
    writes
}

impl GoingOn<'_> {
    /// The first wave of a new plan.
    pub(crate) fn next_wave(&self) -> u16 {
        self.legs.iter().map(|leg| leg.wave.saturating_add(1)).max().unwrap_or(0)
    }

    /// Whether a device does not ring now and was not taken: it may ring (again). One whose wave is still to come is
    /// rung by the new plan in its stead: the timer of that wave finds no leg of it.
    fn is_free(&self, device: &DeviceId) -> bool {
        let Some(leg) = self.legs.iter().find(|leg| leg.device == *device) else { return true };
        match leg.state {
            LegState::Planned => true,
            LegState::Taken => false,
            LegState::Queued
            | LegState::Pushed
            | LegState::Rang
            | LegState::Offered
            | LegState::Declined
            | LegState::Busy
            | LegState::Stopped
            | LegState::StopConfirmed => !leg.rings_at(self.now),
        }
    }

    fn still_rings(&self) -> bool {
        let own = |leg: &&Leg| leg.user == self.invitation.user;
        self.legs.iter().filter(own).any(|leg| leg.rings_at(self.now))
    }

    fn ring(&self, rings: &[Planned<'_>], longest: Duration, rng: &mut impl CryptoRng) -> Vec<Write> {
        let until = self.now.after(longest).max(self.invitation.rings_until);
        let (session, user) = (self.session.id.clone(), self.invitation.user);
        let end = Timer { session: session.clone(), kind: TimerKind::RingEnd(user), due_at: until };
        let mut writes = alloc::vec![Write::RingUntil { session, user, until }, Write::Arm(end)];
        writes.extend(self.legs_of(rings, longest, rng));
        writes
    }

    /// Legs, with the timers of their waves; the inviter is told.
    pub(crate) fn legs_of(
        &self,
        rings: &[Planned<'_>],
        longest: Duration,
        rng: &mut impl CryptoRng,
    ) -> Vec<Write> {
        let maker = LegMaker {
            keys: self.keys,
            session: &self.session.id,
            inviter: self.inviter,
            routing: self.routing,
            now: self.now,
        };
        let mut writes = maker.waves(rings);
        let rung = maker.rung_by_all(rng);
        let mut devices = Vec::new();
        for ring in rings {
            let alias = maker.alias(&ring.of.target.device, rng);
            devices.push(rung_device(alias, &ring.of.target));
            writes.extend(maker.leg(ring, &rung, rng));
        }
        let session = self.session.id.clone();
        let event = Event::Rerouted(Rerouted { session, devices, ring_ms: millis(longest) });
        writes.push(message(&self.inviter.id, &event, (None, self.now.after(longest)), rng));
        writes
    }

    /// Nobody is left to ring.
    fn over(&self, course: &Course, rng: &mut impl CryptoRng) -> Vec<Write> {
        let own: Vec<&Leg> = self.legs.iter().filter(|leg| leg.user == self.invitation.user).collect();
        let (state, became) = became(&own);
        let mut writes = alloc::vec![set_invitation(&self.session.id, self.invitation.user, state, None)];
        writes.extend(stop(own, StopReason::NoAnswer, self.now, rng));
        let told = (became, course.word());
        writes.push(outcome(self.invitation, &self.inviter.id, told, self.now, rng));
        writes
    }
}

/// What became of a user whose legs have all come to an end, or who has none.
pub(crate) fn became(legs: &[&Leg]) -> (InvitationState, UserOutcome) {
    let all = |states: &[LegState]| !legs.is_empty() && legs.iter().all(|leg| states.contains(&leg.state));
    if all(&[LegState::Busy]) {
        (InvitationState::Declined, UserOutcome::Busy)
    } else if all(&[LegState::Declined, LegState::Busy]) {
        (InvitationState::Declined, UserOutcome::AllDeclined)
    } else {
        (InvitationState::NoAnswer, UserOutcome::NoAnswer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        invitation::{
            ring::begin_wave,
            testing::{NOW, PHONE, TABLET, alice, appended, course, reachable, ring_all, ringing, rung_legs},
        },
        policy::route::{Finally, Ring, TargetIndex, Wave},
        testing::TestRng,
    };

    /// Bob's phone rings; the router knows his tablet too.
    struct Hunt {
        rung: crate::invitation::testing::RungCall,
        course: Course,
    }

    fn hunt() -> Hunt {
        let mut course = course(alloc::vec![reachable(PHONE), reachable(TABLET)]);
        course.plans = 1;
        Hunt { rung: ringing(&[PHONE]), course }
    }

    impl Hunt {
        fn go_on(&self, plan: &Plan) -> Vec<Write> {
            self.rung.go_on(&self.course, plan, NOW.after(Duration::from_secs(5)))
        }

        fn leg(&mut self, state: LegState) {
            self.rung.legs[0].state = state;
        }
    }

    fn ring(index: u16) -> Plan {
        let ring = Ring { target: TargetIndex(index), ring_time: Duration::from_secs(10) };
        Plan {
            waves: alloc::vec![Wave { rings: alloc::vec![ring], starts_after: Duration::ZERO }],
            ..ring_all(0)
        }
    }

    #[test]
    fn inv_4_a_new_plan_rings_who_is_free_in_a_wave_of_its_own_and_tells_the_inviter() {
        let mut hunt = hunt();
        hunt.leg(LegState::Declined);

        let writes = hunt.go_on(&ring(1));

        let legs = rung_legs(&writes);
        assert_eq!((legs[0].device.as_str(), legs[0].wave, legs.len()), (TABLET, 1, 1));
        assert_eq!(legs[0].lease_until, NOW.after(Duration::from_secs(15)));
        // The ring of the first plan would have lasted longer; the user's ring time does not shrink.
        let until = hunt.rung.invitation.rings_until;
        let session = hunt.rung.session.id.clone();
        assert!(writes.contains(&Write::RingUntil { session, user: 0, until }));
        let told: Vec<_> = appended(&writes).into_iter().map(|(to, event)| (to, event.kind())).collect();
        assert_eq!(told, [(TABLET.parse().unwrap(), "invite"), (alice().id, "rerouted")]);
    }

    #[test]
    fn inv_15_a_plan_touches_no_device_that_rings_and_no_other_user() {
        let mut hunt = hunt();
        hunt.course.targets[1].user = 1;
        for state in [LegState::Queued, LegState::Rang, LegState::Offered, LegState::Taken] {
            hunt.leg(state);
            assert_eq!(rung_legs(&hunt.go_on(&ring(0))), [], "{state:?}");
        }
        assert_eq!(rung_legs(&hunt.go_on(&ring(1))), [], "of another user");
        hunt.leg(LegState::Stopped);
        assert_eq!(rung_legs(&hunt.go_on(&ring(0))).len(), 1, "who did not answer may be rung again");
        hunt.rung.invitation.state = InvitationState::Taken;
        assert_eq!(hunt.go_on(&ring(0)), []);
    }

    #[test]
    fn inv_4_a_new_plan_pulls_forward_who_waited_for_a_later_wave() {
        let mut hunt = hunt();
        let later = Leg {
            device: TABLET.parse().unwrap(),
            wave: 1,
            state: LegState::Planned,
            lease_until: NOW.after(Duration::from_secs(30)),
            ..hunt.rung.legs[0].clone()
        };
        hunt.rung.legs.push(later);
        hunt.leg(LegState::Declined);

        let writes = hunt.go_on(&ring(1));

        let legs = rung_legs(&writes);
        assert_eq!((legs.len(), legs[0].device.as_str(), legs[0].state), (1, TABLET, LegState::Queued));
        assert_eq!(legs[0].lease_until, NOW.after(Duration::from_secs(15)));
        hunt.rung.apply(&writes);
        let waves: Vec<_> = hunt.rung.legs.iter().map(|leg| leg.wave).collect();
        assert_eq!(waves, [0, 2], "what was planned for it is not");
        let begun = begin_wave(
            1,
            core::slice::from_ref(&hunt.rung.invitation),
            &hunt.rung.legs,
            NOW,
            &mut TestRng(1),
        );
        assert_eq!(begun, []);
    }

    #[test]
    fn inv_4_a_device_whose_ring_is_over_may_ring_again_and_keeps_nobody_waiting() {
        let mut hunt = hunt();
        hunt.leg(LegState::Rang);
        hunt.rung.legs[0].lease_until = NOW.after(Duration::from_secs(5));

        assert_eq!(rung_legs(&hunt.go_on(&ring(0))).len(), 1);

        let sent = appended(&hunt.go_on(&ring_all(0)));
        assert!(matches!(&sent[..], [(phone, Event::Cancel(_)), (_, Event::Outcome(outcome))]
            if phone.as_str() == PHONE && outcome.outcome == UserOutcome::NoAnswer));
    }

    #[test]
    fn inv_2_whom_the_last_plan_names_is_gone_on_to_where_the_last_ring_was_over_while_the_router_was_asked()
    {
        let mut hunt = hunt();
        let to = Finally::Forward("+15550102".parse().unwrap());
        let forward = Plan { finally: to, ..ring_all(0) };
        let again = reroute(&hunt.rung.invitation, NOW.after(Duration::from_secs(5)));
        hunt.leg(LegState::Rang);
        assert!(!hunt.go_on(&forward).contains(&again), "it rings");
        hunt.leg(LegState::Stopped);
        let writes = hunt.go_on(&forward);
        assert!(writes.contains(&again));
        assert_eq!(appended(&writes), []);
    }

    /// 16 users, 8 plans each, 8 waves each, and devices that came late.
    #[test]
    fn inv_15_the_waves_of_many_users_plans_are_counted_apart() {
        let mut hunt = hunt();
        hunt.leg(LegState::Stopped);
        hunt.rung.legs[0].wave = 16 * 8 * 8;
        let in_turn = (0..2).map(|index| Wave {
            starts_after: Duration::from_secs(5 * u64::from(index)),
            ..ring(index).waves.remove(0)
        });
        let plan = Plan { waves: in_turn.collect(), ..ring_all(0) };

        let waves: Vec<u16> = rung_legs(&hunt.go_on(&plan)).iter().map(|leg| leg.wave).collect();

        assert_eq!(waves, [1_025, 1_026]);
    }

    #[test]
    fn to_whom_it_went_on_is_kept_once_it_did() {
        let mut hunt = hunt();
        hunt.leg(LegState::Stopped);
        let to: switchhook_protocol::endpoint::EndpointId = "+15550102".parse().unwrap();
        hunt.course.forward_to(&to, 0, alloc::vec![reachable("carol-phone").target], 9);
        let forwards = |writes: Vec<Write>| -> Vec<_> {
            let forward = |write| if let Write::Forward(it) = write { Some((it.user, it.to)) } else { None };
            writes.into_iter().filter_map(forward).collect()
        };

        assert_eq!(forwards(hunt.go_on(&ring(2))), [(0, to)]);

        hunt.rung.invitation.state = InvitationState::Taken;
        assert_eq!(forwards(hunt.go_on(&ring(2))), []);
    }

    #[test]
    fn inv_4_a_plan_without_rings_ends_it_with_the_routers_word_and_tells_the_outcomes_apart() {
        let mut hunt = hunt();
        let gone = Plan { finally: Finally::GiveUp("on-leave".into()), ..ring_all(0) };
        let nobody = became(&[]);
        assert_eq!(
            nobody,
            (InvitationState::NoAnswer, UserOutcome::NoAnswer),
            "who was not rung was not busy"
        );
        for (state, expected) in [
            (LegState::Busy, UserOutcome::Busy),
            (LegState::Declined, UserOutcome::AllDeclined),
            (LegState::Stopped, UserOutcome::NoAnswer),
        ] {
            hunt.leg(state);
            let writes = hunt.go_on(&gone);
            let sent = appended(&writes);
            let [(_, Event::Outcome(outcome))] = &sent[..] else { panic!("{sent:?}") };
            assert_eq!((outcome.outcome, outcome.word.as_deref()), (expected, Some("on-leave")));
        }
        hunt.leg(LegState::Rang);
        assert_eq!(appended(&hunt.go_on(&gone)), [], "others still ring");
    }
}
