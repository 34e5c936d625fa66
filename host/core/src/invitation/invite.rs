//! The invite itself: from targets and plan to rows, rings and a status for the inviter (INV-1 to INV-3).

use alloc::{collections::BTreeSet, string::String, vec::Vec};
use core::time::Duration;

use rand_core::CryptoRng;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    event::{Event, Rung},
    id::{DeviceId, SessionId},
    invitation::{Invite, InviteStatus, MAX_INVITED, RungDevice},
    peer::Peer,
    time::{Timestamp, millis},
};

use super::{message, to_json};
use crate::{
    network::{InviterSide, NetworkFacts},
    policy::route::{self, Plan},
    row::{
        Device, Invitation, InvitationState, Leg, LegState, Milestones, Session, Target, Timer, TimerKind,
        Write,
    },
    seal::KeyRing,
    session::FIRST,
    ticket::{Alias, MediaKey, Member, Role, SessionTicket, TICKET_LIFE},
};

/// Longest display name, in bytes.
pub const MAX_DISPLAY_NAME: usize = 128;

/// Most devices that one invite rings.
pub const MAX_FAN_OUT: usize = 64;

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
    pub request: &'a Invite,
    /// Who it is on the network.
    pub network: &'a NetworkFacts,
    /// Devices that can be rung, as the router saw them.
    pub targets: &'a [Target],
    /// The router's plan for them.
    pub plan: &'a Plan,
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
    if request.invited.is_empty() || request.invited.len() > MAX_INVITED {
        return Err(ErrorCode::Malformed);
    }
    let purpose = (1..=64).contains(&request.purpose.len());
    let name = request.display_name.len() <= MAX_DISPLAY_NAME;
    if purpose && name { Ok(()) } else { Err(ErrorCode::TooLarge) }
}

/// One target per device, the inviter's own left out: a device reached by two identifiers rings once.
pub fn targets(registered: Vec<Target>, inviter: &DeviceId) -> Result<Vec<Target>, ErrorCode> {
    let mut seen = BTreeSet::new();
    let rings = |target: &Target| target.device != *inviter && seen.insert(target.device.clone());
    let targets: Vec<Target> = registered.into_iter().filter(rings).collect();
    if targets.is_empty() {
        return Err(ErrorCode::NoneRegistered);
    }
    if targets.len() > MAX_FAN_OUT {
        return Err(ErrorCode::TooLarge);
    }
    Ok(targets)
}

/// The position of a target's user among the invited.
pub fn user_of(target: &Target, invited: &[EndpointId]) -> u16 {
    let position = invited.iter().position(|endpoint| *endpoint == target.endpoint);
    u16::try_from(position.unwrap_or_default()).unwrap_or_default()
}

/// Decides an invite.
pub fn invite(facts: Inviting<'_>, rng: &mut impl CryptoRng) -> Result<Invited, ErrorCode> {
    let rings: Vec<Planned<'_>> = planned(&facts);
    let Some(longest) = rings.iter().map(Planned::ends_after).max() else {
        return Err(ErrorCode::RouteRefused);
    };
    let media_key = MediaKey::mint(rng);
    let rung = facts.rung_by_all(rng);
    let mut writes = facts.opening(&rings, facts.now.after(longest));
    let mut devices = Vec::new();
    for ring in rings {
        let alias = facts.alias(&ring.target.device, rng);
        let ticket = facts.ticket_for(&ring, media_key).seal(facts.keys, rng);
        let event = Event::Invite(Rung { ticket, invited: ring.target.endpoint.clone(), ..rung.clone() });
        writes.extend(facts.leg(&ring, &event, rng));
        devices.push(RungDevice {
            alias,
            endpoint: ring.target.endpoint.clone(),
            kind: ring.target.kind.clone(),
        });
    }
    let status = InviteStatus {
        session: facts.session.clone(),
        ticket: facts.own_ticket(media_key).seal(facts.keys, rng),
        devices,
        not_registered: facts.not_registered(),
        ring_ms: millis(longest),
    };
    Ok(Invited { writes, status })
}

/// A target with its place in the plan.
struct Planned<'a> {
    target: &'a Target,
    user: u16,
    wave: u8,
    starts_after: Duration,
    ring_time: Duration,
}

impl Planned<'_> {
    fn ends_after(&self) -> Duration {
        self.starts_after + self.ring_time
    }
}

fn planned<'a>(facts: &Inviting<'a>) -> Vec<Planned<'a>> {
    let ring = |wave: u8, starts_after, ring: &route::Ring| {
        let target = facts.targets.get(usize::from(ring.target.0))?;
        let user = user_of(target, &facts.request.invited);
        Some(Planned { target, user, wave, starts_after, ring_time: ring.ring_time })
    };
    let waves = (0..=u8::MAX).zip(&facts.plan.waves);
    waves
        .flat_map(|(index, wave)| wave.rings.iter().map(move |of| (index, wave.starts_after, of)))
        .filter_map(|(index, starts_after, of)| ring(index, starts_after, of))
        .collect()
}

impl Inviting<'_> {
    /// The session's row, one invitation for each user who is rung, and their timers.
    fn opening(&self, rings: &[Planned<'_>], expires_at: Timestamp) -> Vec<Write> {
        let mut writes = alloc::vec![Write::OpenSession(Session {
            id: self.session.clone(),
            application: self.inviter.application.clone(),
            inviter: self.inviter.id.clone(),
            inviter_endpoint: self.request.from.clone(),
            purpose: self.request.purpose.clone(),
            created_at: self.now,
            expires_at: expires_at.after(TICKET_LIFE),
            generation: FIRST,
        })];
        let users: BTreeSet<u16> = rings.iter().map(|ring| ring.user).collect();
        for user in users {
            let of_user = rings.iter().filter(|ring| ring.user == user);
            let Some(last) = of_user.max_by_key(|ring| ring.ends_after()) else { continue };
            let rings_until = self.now.after(last.ends_after());
            writes.push(Write::OpenInvitation(Invitation {
                session: self.session.clone(),
                user,
                endpoint: last.target.endpoint.clone(),
                state: InvitationState::Ringing,
                taken_by: None,
                rings_until,
            }));
            writes.push(self.timer(TimerKind::RingEnd(user), rings_until));
        }
        for (index, wave) in (0..=u8::MAX).zip(&self.plan.waves) {
            if !wave.starts_after.is_zero() {
                writes.push(self.timer(TimerKind::Wave(index), self.now.after(wave.starts_after)));
            }
        }
        writes
    }

    fn timer(&self, kind: TimerKind, due_at: Timestamp) -> Write {
        Write::Arm(Timer { session: self.session.clone(), kind, due_at })
    }

    /// The leg of one device, and its ring if its wave begins at once.
    fn leg(&self, ring: &Planned<'_>, event: &Event, rng: &mut impl CryptoRng) -> Vec<Write> {
        let lease_until = self.now.after(ring.ends_after());
        let at_once = ring.starts_after.is_zero();
        let state = if at_once { LegState::Queued } else { LegState::Planned };
        let leg = Leg {
            session: self.session.clone(),
            user: ring.user,
            device: ring.target.device.clone(),
            wave: ring.wave,
            state,
            lease_until,
            ring: (!at_once).then(|| to_json(event)),
            changed_at: self.now,
            times: Milestones::reached(state, self.now),
        };
        let ring = at_once.then(|| message(&leg.device, event, (None, lease_until), rng));
        core::iter::once(Write::OpenLeg(leg)).chain(ring).collect()
    }

    /// What every rung device is told alike.
    fn rung_by_all(&self, rng: &mut impl CryptoRng) -> Rung {
        let side = InviterSide {
            session: self.session.clone(),
            network: self.network.clone(),
            session_key: self.request.session_key.clone(),
        };
        Rung {
            session: self.session.clone(),
            ticket: String::new(),
            inviter: Peer {
                alias: self.alias(&self.inviter.id, rng),
                endpoint: self.request.from.clone(),
                device_key: self.inviter.key.clone(),
                session_key: self.request.session_key.clone(),
            },
            invited: self.request.from.clone(),
            inviter_connection_data: side.seal(self.keys, rng),
            purpose: self.request.purpose.clone(),
            display_name: self.request.display_name.clone(),
        }
    }

    fn alias(&self, device: &DeviceId, rng: &mut impl CryptoRng) -> String {
        Alias { session: self.session.clone(), device: device.clone() }.seal(self.keys, rng)
    }

    fn own_ticket(&self, media_key: MediaKey) -> SessionTicket {
        SessionTicket {
            session: self.session.clone(),
            application: self.inviter.application.clone(),
            generation: FIRST,
            role: Role::Inviter,
            own: self.member(),
            peer: None,
            media_key,
            direct_failures: 0,
            expires_at: self.now.after(TICKET_LIFE),
        }
    }

    fn ticket_for(&self, ring: &Planned<'_>, media_key: MediaKey) -> SessionTicket {
        SessionTicket {
            role: Role::Invited { user: ring.user },
            own: Member { device: ring.target.device.clone(), endpoint: ring.target.endpoint.clone() },
            peer: Some(self.member()),
            ..self.own_ticket(media_key)
        }
    }

    fn member(&self) -> Member {
        Member { device: self.inviter.id.clone(), endpoint: self.request.from.clone() }
    }

    fn not_registered(&self) -> Vec<EndpointId> {
        let registered =
            |endpoint: &&EndpointId| !self.targets.iter().any(|target| target.endpoint == **endpoint);
        self.request.invited.iter().filter(registered).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{
        invitation::testing::{
            NOW, PHONE, TABLET, alice, invite_request, keys, network, ring_all, rung_legs, target,
        },
        policy::route::{Ring, TargetIndex, Wave},
        testing::TestRng,
    };

    fn invited(targets: &[Target], plan: &Plan) -> Result<Invited, ErrorCode> {
        let facts = Inviting {
            keys: &keys(),
            session: &session(),
            inviter: &alice(),
            request: &invite_request(),
            network: &network(),
            targets,
            plan,
            now: NOW,
        };
        invite(facts, &mut TestRng(1))
    }

    fn session() -> SessionId {
        "s".parse().unwrap()
    }

    fn both() -> Vec<Target> {
        vec![target(PHONE), target(TABLET)]
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
        assert_eq!(targets(vec![], &alice().id), Err(ErrorCode::NoneRegistered));
        assert_eq!(targets(vec![target("alice-phone")], &alice().id), Err(ErrorCode::NoneRegistered));
        assert_eq!(invited(&both(), &ring_all(0)), Err(ErrorCode::RouteRefused));
    }

    #[test]
    fn inv_15_a_device_reached_by_two_identifiers_gets_one_leg() {
        let twice = Target { endpoint: "bob@example.com".parse().unwrap(), ..target(PHONE) };
        let targets = targets(vec![target(PHONE), twice, target(TABLET)], &alice().id).unwrap();
        assert_eq!(targets, both());
    }
}
