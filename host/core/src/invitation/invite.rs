//! The invite itself: from targets and plan to rows, rings and a status for the inviter (INV-1 to INV-3).

use alloc::{collections::BTreeSet, vec::Vec};

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{DeviceId, SessionId},
    invitation::{Invite, InviteStatus, MAX_INVITED, UserOutcome},
    time::{Timestamp, millis},
};

use super::{
    answer::outcome,
    course::Course,
    legs::{LegMaker, Planned, rung_device},
    routing::Routing,
};
use crate::{
    policy::route::Plan,
    row::{Device, Invitation, InvitationState, Session, Target, TimerKind, Write},
    seal::KeyRing,
    session::FIRST,
    ticket::TICKET_LIFE,
};

/// Longest display name, in bytes.
pub const MAX_DISPLAY_NAME: usize = 128;

/// Most devices that one invite rings.
pub const MAX_FAN_OUT: usize = 64;

/// A device that can be rung, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reachable {
    /// Position of its user among the invited.
    pub user: u16,
    /// The device, and the identifier that reaches it.
    pub target: Target,
}

/// What an invite is decided from.
#[derive(Debug, Clone, Copy)]
pub struct Inviting<'a> {
    /// The tenant's keys.
    pub keys: &'a KeyRing,
    /// The session's id, minted when the router was asked.
    pub session: &'a SessionId,
    /// The inviter's device.
    pub inviter: &'a Device,
    /// What it asks for.
    pub routing: &'a Routing,
    /// The devices that the router was told of, and how it came to them.
    pub course: &'a Course,
    /// The router's plan for them.
    pub plan: &'a Plan,
    /// By which of the invited a device is registered, also one that rings for another of them, or is the inviter's.
    pub registered: &'a BTreeSet<EndpointId>,
    /// When.
    pub now: Timestamp,
}

/// What an invite leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invited {
    /// Session, invitations, legs, timers and rings: one transaction.
    pub writes: Vec<Write>,
    /// For the inviter (INV-3).
    pub status: InviteStatus,
}

/// Refuses an invite whose own fields are out of bounds, before anything is loaded.
pub fn check(request: &Invite) -> Result<(), ErrorCode> {
    if !(1..=MAX_INVITED).contains(&(request.invited.len() + request.dialled.len())) {
        return Err(ErrorCode::Malformed);
    }
    let purpose = (1..=64).contains(&request.purpose.len());
    let name = request.display_name.len() <= MAX_DISPLAY_NAME;
    if purpose && name { Ok(()) } else { Err(ErrorCode::TooLarge) }
}

/// One target per device, the inviter's own left out: a device reached by two identifiers rings once. More
/// than `fan_out` are refused.
pub fn targets(
    registered: Vec<Target>,
    inviter: &DeviceId,
    invited: &[EndpointId],
    fan_out: u32,
) -> Result<Vec<Reachable>, ErrorCode> {
    let mut seen = BTreeSet::new();
    let rings = |target: &Target| target.device != *inviter && seen.insert(target.device.clone());
    let reachable = |target: Target| Reachable { user: user_of(&target, invited), target };
    let targets: Vec<Reachable> = registered.into_iter().filter(rings).map(reachable).collect();
    if targets.is_empty() {
        return Err(ErrorCode::NoneRegistered);
    }
    if targets.len() > most(fan_out) {
        return Err(ErrorCode::TooLarge);
    }
    Ok(targets)
}

/// By which identifiers these devices are registered: before [`targets`] has one for each device.
pub fn registered(found: &[Target]) -> BTreeSet<EndpointId> {
    found.iter().map(|target| target.endpoint.clone()).collect()
}

/// How many devices may be reached where a tenant allows so many.
pub(crate) fn most(fan_out: u32) -> usize {
    usize::try_from(fan_out).unwrap_or(MAX_FAN_OUT).min(MAX_FAN_OUT)
}

/// The position of a target's user among the invited.
fn user_of(target: &Target, invited: &[EndpointId]) -> u16 {
    let position = invited.iter().position(|endpoint| *endpoint == target.endpoint);
    u16::try_from(position.unwrap_or_default()).unwrap_or_default()
}

/// Decides an invite.
pub fn invite(facts: Inviting<'_>, rng: &mut impl CryptoRng) -> Result<Invited, ErrorCode> {
    let rings = Planned::of(facts.plan, &facts.course.targets, 0);
    let Some(longest) = rings.iter().map(Planned::ends_after).max() else {
        return Err(ErrorCode::RouteRefused);
    };
    let maker = facts.maker();
    let rung = maker.rung_by_all(rng);
    let mut writes = facts.opening(&maker, &rings, facts.now.after(longest), rng);
    let mut devices = Vec::new();
    for ring in rings {
        let alias = maker.alias(&ring.of.target.device, rng);
        devices.push(rung_device(alias, &ring.of.target));
        writes.extend(maker.leg(&ring, &rung, rng));
    }
    let status = InviteStatus {
        session: facts.session.clone(),
        ticket: maker.own_ticket().seal(facts.keys, rng),
        devices,
        not_registered: facts.not_registered(),
        ring_ms: millis(longest),
    };
    Ok(Invited { writes, status })
}

impl<'a> Inviting<'a> {
    const fn maker(&self) -> LegMaker<'a> {
        LegMaker {
            keys: self.keys,
            session: self.session,
            inviter: self.inviter,
            routing: self.routing,
            now: self.now,
        }
    }

    /// The session's row, one invitation for each user who is rung, and their timers.
    fn opening(
        &self,
        maker: &LegMaker<'_>,
        rings: &[Planned<'_>],
        expires_at: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Vec<Write> {
        let asked = &self.routing.asked;
        let mut writes = alloc::vec![Write::OpenSession(Session {
            id: self.session.clone(),
            application: self.inviter.application.clone(),
            inviter: self.inviter.id.clone(),
            inviter_endpoint: asked.from.clone(),
            purpose: asked.purpose.clone(),
            created_at: self.now,
            expires_at: expires_at.after(TICKET_LIFE),
            generation: FIRST,
            routing: Some(self.routing.seal(self.keys, rng)),
            take: asked.take,
        })];
        let users: BTreeSet<u16> = rings.iter().map(|ring| ring.of.user).collect();
        for user in users {
            let of_user = rings.iter().filter(|ring| ring.of.user == user);
            let Some(last) = of_user.max_by_key(|ring| ring.ends_after()) else { continue };
            let rings_until = self.now.after(last.ends_after());
            let invited = asked.invited.get(usize::from(user));
            writes.push(Write::OpenInvitation(Invitation {
                session: self.session.clone(),
                user,
                endpoint: invited.unwrap_or(&last.of.target.endpoint).clone(),
                state: InvitationState::Ringing,
                taken_by: None,
                rings_until,
                course: self.course.planned(self.plan, user).seal(self.keys, rng),
            }));
            writes.push(maker.timer(TimerKind::RingEnd(user), rings_until));
            writes.extend(self.course.forwards((self.session, user), self.now));
        }
        writes.extend(maker.waves(rings));
        writes.extend(self.left_out(maker, rings, rng));
        writes
    }

    /// Users who are registered, and whom the plan rings on no device: the inviter is told at once, or it goes on to whom
    /// the plan names. Whose devices all ring for others of the invited goes on to nobody.
    fn left_out(&self, maker: &LegMaker<'_>, rings: &[Planned<'_>], rng: &mut impl CryptoRng) -> Vec<Write> {
        let mut known: BTreeSet<&EndpointId> = BTreeSet::new();
        let mut writes = Vec::new();
        for (user, endpoint) in (0..=u16::MAX).zip(&self.routing.asked.invited) {
            let rung = rings.iter().any(|ring| ring.of.user == user);
            // Who is invited twice is one user.
            if !known.insert(endpoint) || rung || !self.registered.contains(endpoint) {
                continue;
            }
            let course = self.course.planned(self.plan, user);
            let goes_on = !course.targets.is_empty() && course.forward().is_some();
            let invitation = Invitation {
                session: self.session.clone(),
                user,
                endpoint: endpoint.clone(),
                state: if goes_on { InvitationState::Ringing } else { InvitationState::NoAnswer },
                taken_by: None,
                rings_until: self.now,
                course: course.seal(self.keys, rng),
            };
            let next = if goes_on {
                maker.timer(TimerKind::Reroute(user), self.now)
            } else {
                let told = (UserOutcome::NoAnswer, course.word());
                outcome(&invitation, &self.inviter.id, told, self.now, rng)
            };
            writes.extend([Write::OpenInvitation(invitation), next]);
        }
        writes
    }

    fn not_registered(&self) -> Vec<EndpointId> {
        let invited = self.routing.asked.invited.iter();
        invited.filter(|endpoint| !self.registered.contains(*endpoint)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::time::Duration;

    use switchhook_protocol::event::{Event, Outcome};

    use super::*;
    use crate::{
        invitation::testing::{
            NOW, PHONE, TABLET, alice, appended, course, invite_request, keys, reachable, ring_all, routing,
            rung_legs, target,
        },
        policy::route::{Finally, Ring, TargetIndex, Wave},
        row::{LegState, Timer},
        testing::TestRng,
        ticket::SessionTicket,
    };

    /// Who is invited beside Bob.
    const OTHER: &str = "+15550199";

    fn invited(targets: &[Reachable], plan: &Plan) -> Result<Invited, ErrorCode> {
        invited_of(targets, plan, &["+15550101"])
    }

    fn invited_of(targets: &[Reachable], plan: &Plan, registered: &[&str]) -> Result<Invited, ErrorCode> {
        let facts = Inviting {
            keys: &keys(),
            session: &session(),
            inviter: &alice(),
            routing: &routing(),
            course: &course(targets.to_vec()),
            plan,
            registered: &registered.iter().map(|endpoint| endpoint.parse().unwrap()).collect(),
            now: NOW,
        };
        invite(facts, &mut TestRng(1))
    }

    fn session() -> SessionId {
        "s".parse().unwrap()
    }

    fn both() -> Vec<Reachable> {
        vec![reachable(PHONE), reachable(TABLET)]
    }

    fn targets(registered: Vec<Target>) -> Result<Vec<Reachable>, ErrorCode> {
        super::targets(registered, &alice().id, &invite_request().invited, 2)
    }

    #[test]
    fn inv_2_an_invite_rings_each_device_with_a_ticket_of_its_own_and_shows_no_token_and_no_address() {
        let Invited { writes, .. } = invited(&both(), &ring_all(2)).unwrap();
        let rings: Vec<&crate::row::Message> = writes
            .iter()
            .filter_map(|write| if let Write::Append(message) = write { Some(message) } else { None })
            .collect();
        assert_eq!(rings.len(), 2);
        for (ring, device) in rings.iter().zip([PHONE, TABLET]) {
            let Ok(Event::Invite(rung)) = serde_json::from_str(&ring.event) else { panic!("a ring") };
            assert_eq!(ring.device.as_str(), device);
            assert_eq!(ring.expires_at, NOW.after(Duration::from_secs(30)));
            let ticket = SessionTicket::open(&keys(), &rung.ticket, &ring.device, NOW).unwrap();
            assert_eq!(ticket.peer.unwrap().device, alice().id);
            assert!(!ring.event.contains("192.0.2"), "the inviter's addresses travel sealed");
        }
    }

    #[test]
    fn inv_3_the_status_names_the_devices_and_who_is_not_registered() {
        let Invited { status, .. } = invited(&both(), &ring_all(2)).unwrap();
        let kinds: Vec<&str> = status.devices.iter().map(|device| device.kind.as_str()).collect();
        assert_eq!(kinds, ["phone", "tablet"]);
        assert_eq!(status.not_registered, vec!["+15550199".parse().unwrap()]);
        assert_eq!(status.ring_ms, 30_000);
    }

    #[test]
    fn a_later_wave_waits_in_its_leg_with_a_timer() {
        let ring = |index, seconds| Wave {
            rings: vec![Ring { target: TargetIndex(index), ring_time: Duration::from_secs(10) }],
            starts_after: Duration::from_secs(seconds),
        };
        let plan = Plan { waves: vec![ring(0, 0), ring(1, 10)], ..ring_all(0) };
        let Invited { writes, status } = invited(&both(), &plan).unwrap();
        let legs = rung_legs(&writes);
        assert_eq!(legs[0].state, LegState::Queued);
        assert_eq!(legs[1].state, LegState::Planned);
        assert!(legs[1].ring.as_deref().is_some_and(|ring| ring.contains("invite")));
        assert_eq!(legs[1].lease_until, NOW.after(Duration::from_secs(20)));
        assert_eq!(status.ring_ms, 20_000);
        let session = session();
        let kind = TimerKind::Wave(1);
        let due_at = NOW.after(Duration::from_secs(10));
        assert!(writes.contains(&Write::Arm(Timer { session, kind, due_at })));
    }

    #[test]
    fn inv_4_nobody_registered_is_an_answer_of_its_own_and_a_plan_without_rings_another() {
        assert_eq!(targets(vec![]), Err(ErrorCode::NoneRegistered));
        assert_eq!(targets(vec![target("alice-phone")]), Err(ErrorCode::NoneRegistered));
        let three = vec![target(PHONE), target(TABLET), target("bob-laptop")];
        assert_eq!(targets(three), Err(ErrorCode::TooLarge));
        assert_eq!(invited(&both(), &ring_all(0)), Err(ErrorCode::RouteRefused));
    }

    /// The other one's invitation, and what the inviter is told of it.
    fn second(writes: &[Write]) -> (InvitationState, Vec<Outcome>) {
        let opened = writes.iter().find_map(|write| {
            let Write::OpenInvitation(it) = write else { return None };
            (it.user == 1).then_some(it.state)
        });
        let told = appended(writes).into_iter().filter(|(to, _)| *to == alice().id);
        let outcomes = told.filter_map(|(_, event)| {
            let Event::Outcome(outcome) = event else { return None };
            Some(outcome)
        });
        (opened.unwrap(), outcomes.collect())
    }

    #[test]
    fn inv_4_of_a_user_whom_the_plan_leaves_out_the_inviter_hears_at_once() {
        let other = Reachable {
            user: 1,
            target: Target { endpoint: OTHER.parse().unwrap(), ..target("carol-phone") },
        };
        let plan = Plan { finally: Finally::GiveUp("on-leave".into()), ..ring_all(1) };

        let targets = [reachable(PHONE), other];
        let Invited { writes, status } = invited_of(&targets, &plan, &["+15550101", OTHER]).unwrap();

        assert_eq!(status.not_registered, vec![]);
        let (state, outcomes) = second(&writes);
        let [outcome] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert_eq!((state, outcome.outcome), (InvitationState::NoAnswer, UserOutcome::NoAnswer));
        assert_eq!((outcome.endpoint.reveal(), outcome.word.as_deref()), (OTHER, Some("on-leave")));

        let forward = Plan { finally: Finally::Forward("+15550102".parse().unwrap()), ..ring_all(1) };
        let Invited { writes, .. } = invited_of(&targets, &forward, &["+15550101", OTHER]).unwrap();
        assert_eq!(second(&writes), (InvitationState::Ringing, vec![]));
        let timer = Timer { session: session(), kind: TimerKind::Reroute(1), due_at: NOW };
        assert!(writes.contains(&Write::Arm(timer)), "its forward is followed");
    }

    #[test]
    fn inv_3_who_is_reached_only_by_a_device_that_rings_for_another_is_registered_and_rung_by_nothing() {
        let forward = Plan { finally: Finally::Forward("+15550102".parse().unwrap()), ..ring_all(2) };

        let Invited { writes, status } = invited_of(&both(), &forward, &["+15550101", OTHER]).unwrap();

        assert_eq!(status.not_registered, vec![]);
        let (state, outcomes) = second(&writes);
        assert_eq!((state, outcomes.len()), (InvitationState::NoAnswer, 1), "nor does it go on");
    }

    #[test]
    fn inv_15_a_device_reached_by_two_identifiers_gets_one_leg() {
        let twice = Target { endpoint: "bob@example.com".parse().unwrap(), ..target(PHONE) };
        let targets = targets(vec![target(PHONE), twice, target(TABLET)]).unwrap();
        assert_eq!(targets, both());
    }
}
