//! What a session's routing goes on with: asked again on busy, decline and no answer, or forwarded (INV-2, INV-4).
//!
//! A plan may ask to be asked again, or name somebody to go on to. What that needs later (whom, for
//! what, under which key) is sealed into the session's row, since by then the inviter may sleep and
//! the node that began may be dead. When the moment comes, a timer is armed for now in the same
//! transaction; whichever node claims it asks the router, with the outcomes of all legs so far, and
//! [`go_on`] makes of its new plan new legs for that one user. Other users' devices are not touched
//! (INV-15).
//!
//! Bounded: at most [`MAX_PLANS`] plans and [`MAX_FORWARDS`] forwards a session, never to somebody
//! who is in the call or was forwarded to before. Then the user has not answered, and the inviter is told the
//! last plan's word.

use alloc::{string::String, vec::Vec};

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    event::{Event, Rerouted},
    id::DeviceId,
    invitation::{Invite, StopReason, TakeMode, UserOutcome},
    peer::SessionKey,
    time::{Timestamp, millis},
};

use super::{
    answer::outcome,
    invite::{Planned, Reachable, Ringing, rung_device},
    message, set_invitation, stop,
};
use crate::{
    network::NetworkFacts,
    policy::route::{AskAgain, Finally, LegOutcome, LegResult, Plan, TargetIndex},
    row::{Device, Invitation, InvitationState, Leg, LegState, Session, Timer, TimerKind, Write},
    seal::{KeyRing, Purpose},
    ticket::MediaKey,
};

/// Most plans of one session: a router that always wants to be asked again ends here.
pub const MAX_PLANS: u8 = 8;

/// Most forwards of one session: longer chains are loops that somebody configured by mistake.
pub const MAX_FORWARDS: usize = 4;

/// What goes on with a session's routing; sealed in its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    /// What the inviter asked for.
    pub asked: Asked,
    /// Who the inviter is on the network.
    pub network: NetworkFacts,
    /// Of the session.
    pub media_key: MediaKey,
    /// Every device that the router was told of; plans name them by position.
    pub targets: Vec<Reachable>,
    /// When the router wants to be asked again.
    pub ask_again: AskAgain,
    /// What happens when nobody accepts.
    pub finally: Finally,
    /// How many plans counted.
    pub plans: u8,
    /// Whom the session was forwarded to.
    pub forwarded: Vec<EndpointId>,
}

/// What an invite asks for, without the connection data that the host has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Whom to ring.
    pub invited: Vec<EndpointId>,
    /// The inviter's identifier.
    pub from: EndpointId,
    /// What the session is for.
    pub purpose: String,
    /// What rung devices show.
    pub display_name: String,
    /// The inviter's key for the session's datagrams.
    pub session_key: SessionKey,
    /// Who chooses among the devices that accept.
    pub take: TakeMode,
}

impl From<&Invite> for Asked {
    fn from(invite: &Invite) -> Self {
        Self {
            invited: invite.invited.clone(),
            from: invite.from.clone(),
            purpose: invite.purpose.clone(),
            display_name: invite.display_name.clone(),
            session_key: invite.session_key.clone(),
            take: invite.take,
        }
    }
}

impl Routing {
    /// Before the router was asked.
    pub fn new(
        asked: Asked,
        network: NetworkFacts,
        targets: Vec<Reachable>,
        rng: &mut impl CryptoRng,
    ) -> Self {
        Self {
            asked,
            network,
            media_key: MediaKey::mint(rng),
            targets,
            ask_again: AskAgain::default(),
            finally: Finally::GiveUp(DEFAULT_WORD.into()),
            plans: 0,
            forwarded: Vec::new(),
        }
    }

    /// Opens what the session's row has; none if nothing goes on.
    pub fn of(session: &Session, keys: &KeyRing) -> Option<Self> {
        session.routing.as_deref().and_then(|sealed| keys.open(Purpose::Routing, sealed).ok())
    }

    /// Seals it for the session's row; none if nothing would go on.
    pub fn seal(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> Option<String> {
        let AskAgain { busy, declined, no_answer } = self.ask_again;
        // The word for giving up is part of what goes on, unless it is the declared default's.
        let word = !matches!(&self.finally, Finally::GiveUp(word) if word == DEFAULT_WORD);
        (busy || declined || no_answer || word).then(|| keys.seal(Purpose::Routing, self, rng))
    }

    /// What follows when a leg has come to this.
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
        let known = *to == self.asked.from || self.asked.invited.contains(to) || self.forwarded.contains(to);
        !known && self.forwarded.len() < MAX_FORWARDS
    }

    /// Goes on to the devices of an identifier, as the same user; those that are known already stay as they are.
    pub fn forward_to(&mut self, to: &EndpointId, user: u16, devices: Vec<crate::row::Target>) {
        self.forwarded.push(to.clone());
        for target in devices {
            if !self.targets.iter().any(|known| known.target.device == target.device) {
                self.targets.push(Reachable { user, target });
            }
        }
    }

    /// How the legs went so far, as the router is told.
    pub fn so_far(&self, legs: &[Leg]) -> Vec<LegOutcome> {
        let result = |leg: &Leg| match leg.state {
            LegState::Planned => None,
            LegState::Queued | LegState::Pushed | LegState::Rang | LegState::Offered | LegState::Taken => {
                Some(LegResult::Rang)
            }
            LegState::Declined => Some(LegResult::Declined),
            LegState::Busy => Some(LegResult::Busy),
            LegState::Stopped | LegState::StopConfirmed => Some(LegResult::NoAnswer),
        };
        let outcome = |(index, reachable): (u16, &Reachable)| {
            let leg = legs.iter().find(|leg| leg.device == reachable.target.device)?;
            Some(LegOutcome { target: TargetIndex(index), result: result(leg)? })
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

/// The word of the declared default.
pub(crate) const DEFAULT_WORD: &str = "no-answer";

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
pub fn go_on(facts: GoingOn<'_>, mut routing: Routing, plan: &Plan, rng: &mut impl CryptoRng) -> Vec<Write> {
    if facts.invitation.state != InvitationState::Ringing {
        return Vec::new();
    }
    routing.plans = routing.plans.saturating_add(1);
    routing.ask_again = plan.ask_again;
    routing.finally = plan.finally.clone();
    let first_wave = facts.legs.iter().map(|leg| leg.wave.saturating_add(1)).max().unwrap_or(0);
    let rings: Vec<Planned<'_>> = Planned::of(plan, &routing.targets, first_wave)
        .into_iter()
        .filter(|ring| ring.of.user == facts.invitation.user && facts.is_free(&ring.of.target.device))
        .collect();
    let mut writes = alloc::vec![Write::SetRouting {
        session: facts.session.id.clone(),
        routing: routing.seal(facts.keys, rng),
    }];
    match rings.iter().map(Planned::ends_after).max() {
        Some(longest) => writes.extend(facts.ring(&routing, &rings, longest, rng)),
        None if facts.still_rings() => {}
        None => writes.extend(facts.over(&routing, rng)),
    }
    writes
}

impl GoingOn<'_> {
    /// Whether a device does not ring and was not taken: it may ring (again).
    fn is_free(&self, device: &DeviceId) -> bool {
        let leg = self.legs.iter().find(|leg| leg.device == *device);
        leg.is_none_or(|leg| !leg.state.may_ring() && leg.state != LegState::Taken)
    }

    fn still_rings(&self) -> bool {
        let own = |leg: &&Leg| leg.user == self.invitation.user;
        self.legs.iter().filter(own).any(|leg| leg.state.may_ring())
    }

    fn ring(
        &self,
        routing: &Routing,
        rings: &[Planned<'_>],
        longest: core::time::Duration,
        rng: &mut impl CryptoRng,
    ) -> Vec<Write> {
        let ringing = Ringing {
            keys: self.keys,
            session: &self.session.id,
            inviter: self.inviter,
            asked: &routing.asked,
            network: &routing.network,
            media_key: routing.media_key,
            generation: self.session.generation,
            now: self.now,
        };
        let rings_until = self.now.after(longest).max(self.invitation.rings_until);
        let (session, user) = (self.session.id.clone(), self.invitation.user);
        let mut writes = alloc::vec![
            Write::RingUntil { session: session.clone(), user, until: rings_until },
            ringing.timer(TimerKind::RingEnd(user), rings_until),
        ];
        writes.extend(ringing.waves(rings));
        let rung = ringing.rung_by_all(rng);
        let mut devices = Vec::new();
        for ring in rings {
            let alias = ringing.alias(&ring.of.target.device, rng);
            devices.push(rung_device(alias, &ring.of.target));
            writes.extend(ringing.leg(ring, &rung, rng));
        }
        let event = Event::Rerouted(Rerouted { session, devices, ring_ms: millis(longest) });
        writes.push(message(&self.inviter.id, &event, (None, rings_until), rng));
        writes
    }

    /// Nobody is left to ring.
    fn over(&self, routing: &Routing, rng: &mut impl CryptoRng) -> Vec<Write> {
        let own: Vec<&Leg> = self.legs.iter().filter(|leg| leg.user == self.invitation.user).collect();
        let (state, became) = became(&own);
        let mut writes = alloc::vec![set_invitation(&self.session.id, self.invitation.user, state, None)];
        writes.extend(stop(own, StopReason::NoAnswer, self.now, rng));
        let told = (became, routing.word());
        writes.push(outcome(self.invitation, &self.inviter.id, told, self.now, rng));
        writes
    }
}

/// What became of a user whose legs have all come to an end.
pub(crate) fn became(legs: &[&Leg]) -> (InvitationState, UserOutcome) {
    let all = |states: &[LegState]| legs.iter().all(|leg| states.contains(&leg.state));
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
    use core::time::Duration;

    use super::*;
    use crate::{
        invitation::testing::{
            NOW, PHONE, TABLET, alice, appended, reachable, ring_all, ringing, routing, rung_legs,
        },
        policy::route::{Ring, Wave},
        testing::TestRng,
    };

    const CAROL: &str = "+15550102";

    /// Bob's phone rings; the router knows his tablet too.
    struct Hunt {
        rung: crate::invitation::testing::Ringing,
        routing: Routing,
    }

    fn hunt() -> Hunt {
        let mut routing = routing(alloc::vec![reachable(PHONE), reachable(TABLET)]);
        routing.plans = 1;
        Hunt { rung: ringing(&[PHONE]), routing }
    }

    impl Hunt {
        fn go_on(&self, plan: &Plan) -> Vec<Write> {
            let facts = GoingOn {
                keys: &self.rung.keys,
                session: &self.rung.session,
                inviter: &alice(),
                invitation: &self.rung.invitation,
                legs: &self.rung.legs,
                now: NOW.after(Duration::from_secs(5)),
            };
            go_on(facts, self.routing.clone(), plan, &mut TestRng(8))
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
        hunt.routing.targets[1].user = 1;
        for state in [LegState::Rang, LegState::Taken, LegState::Planned] {
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
    fn inv_4_a_plan_without_rings_ends_it_with_the_routers_word_and_tells_the_outcomes_apart() {
        let mut hunt = hunt();
        let gone = Plan { finally: Finally::GiveUp("on-leave".into()), ..ring_all(0) };
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

    #[test]
    fn a_session_is_forwarded_to_nobody_twice_and_not_for_ever() {
        let mut routing = hunt().routing;
        let to = |who: &str| -> EndpointId { who.parse().unwrap() };
        assert!(!routing.may_forward(&routing.asked.from) && !routing.may_forward(&routing.asked.invited[0]));
        routing.finally = Finally::Forward(to(CAROL));
        assert_eq!(routing.forward(), Some(&to(CAROL)));

        routing.forward_to(
            &to(CAROL),
            0,
            alloc::vec![reachable("carol-phone").target, reachable(PHONE).target],
        );

        let devices: Vec<&str> = routing.targets.iter().map(|it| it.target.device.as_str()).collect();
        assert_eq!(devices, [PHONE, TABLET, "carol-phone"], "known devices keep their positions");
        assert_eq!(routing.forward(), None);
        for who in 0..MAX_FORWARDS - 1 {
            routing.forward_to(&to(&alloc::format!("somebody-{who}")), 0, Vec::new());
        }
        assert!(!routing.may_forward(&to("one-more")));
    }

    #[test]
    fn what_goes_on_is_sealed_into_the_row_and_only_then() {
        let hunt = hunt();
        assert_eq!(hunt.routing.seal(&hunt.rung.keys, &mut TestRng(1)), None, "nothing goes on");
        let mut routing = hunt.routing.clone();
        routing.ask_again.no_answer = true;
        let session =
            Session { routing: routing.seal(&hunt.rung.keys, &mut TestRng(1)), ..hunt.rung.session };
        assert_eq!(Routing::of(&session, &hunt.rung.keys), Some(routing.clone()));
        assert!(routing.after(LegResult::NoAnswer) && !routing.after(LegResult::Declined));
        routing.plans = MAX_PLANS;
        assert!(!routing.after(LegResult::NoAnswer), "a router is not asked for ever");
    }
}
