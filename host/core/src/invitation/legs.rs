//! The legs of a plan: rows, rings, tickets and timers, at the invite and when a user's ringing goes on.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::time::Duration;

use rand_core::CryptoRng;
use switchhook_protocol::{
    event::{Event, Rung},
    id::{DeviceId, SessionId},
    invitation::RungDevice,
    peer::Peer,
    time::Timestamp,
};

use super::{invite::Reachable, message, routing::Routing, to_json};
use crate::{
    network::InviterSide,
    policy::route::{MIN_RING_TIME, Plan},
    row::{Device, Leg, LegState, Milestones, Target, Timer, TimerKind, Write},
    seal::KeyRing,
    session::FIRST,
    ticket::{Alias, Member, Role, SessionTicket, TICKET_LIFE},
};

/// What rings devices of one session, at its invite and when its routing goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LegMaker<'a> {
    pub(crate) keys: &'a KeyRing,
    pub(crate) session: &'a SessionId,
    pub(crate) inviter: &'a Device,
    pub(crate) routing: &'a Routing,
    pub(crate) now: Timestamp,
}

impl LegMaker<'_> {
    /// The timers of the waves that begin later.
    pub(crate) fn waves(&self, rings: &[Planned<'_>]) -> Vec<Write> {
        let later = rings.iter().filter(|ring| !ring.starts_after.is_zero());
        let waves: BTreeMap<u16, Duration> = later.map(|ring| (ring.wave, ring.starts_after)).collect();
        let arm = |(wave, after)| self.timer(TimerKind::Wave(wave), self.now.after(after));
        waves.into_iter().map(arm).collect()
    }

    pub(crate) fn timer(&self, kind: TimerKind, due_at: Timestamp) -> Write {
        Write::Arm(Timer { session: self.session.clone(), kind, due_at })
    }

    /// The leg of one device, and its ring if its wave begins at once.
    pub(crate) fn leg(&self, ring: &Planned<'_>, rung: &Rung, rng: &mut impl CryptoRng) -> Vec<Write> {
        let ticket = self.ticket_for(ring).seal(self.keys, rng);
        let event = Event::Invite(Rung { ticket, invited: ring.of.target.endpoint.clone(), ..rung.clone() });
        let lease_until = self.now.after(ring.ends_after());
        let at_once = ring.starts_after.is_zero();
        let state = if at_once { LegState::Queued } else { LegState::Planned };
        let leg = Leg {
            session: self.session.clone(),
            user: ring.of.user,
            device: ring.of.target.device.clone(),
            wave: ring.wave,
            state,
            lease_until,
            ring: (!at_once).then(|| to_json(&event)),
            changed_at: self.now,
            times: Milestones::reached(state, self.now),
        };
        let ring = at_once.then(|| message(&leg.device, &event, (None, lease_until), rng));
        core::iter::once(Write::OpenLeg(leg)).chain(ring).collect()
    }

    /// What every rung device is told alike.
    pub(crate) fn rung_by_all(&self, rng: &mut impl CryptoRng) -> Rung {
        let side = InviterSide {
            session: self.session.clone(),
            network: self.routing.network.clone(),
            session_key: self.routing.asked.session_key.clone(),
        };
        Rung {
            session: self.session.clone(),
            ticket: String::new(),
            inviter: Peer {
                alias: self.alias(&self.inviter.id, rng),
                endpoint: self.routing.asked.from.clone(),
                device_key: self.inviter.key.clone(),
                session_key: self.routing.asked.session_key.clone(),
            },
            invited: self.routing.asked.from.clone(),
            inviter_connection_data: side.seal(self.keys, rng),
            purpose: self.routing.asked.purpose.clone(),
            display_name: self.routing.asked.display_name.clone(),
        }
    }

    pub(crate) fn alias(&self, device: &DeviceId, rng: &mut impl CryptoRng) -> String {
        Alias { session: self.session.clone(), device: device.clone() }.seal(self.keys, rng)
    }

    /// Of the first generation, as its media key is, however many have left since: who accepts gets a key that they
    /// do not know (INV-11).
    pub(crate) fn own_ticket(&self) -> SessionTicket {
        SessionTicket {
            session: self.session.clone(),
            application: self.inviter.application.clone(),
            generation: FIRST,
            role: Role::Inviter,
            own: self.member(),
            peer: None,
            media_key: self.routing.media_key,
            direct_failures: 0,
            judged: None,
            expires_at: self.now.after(TICKET_LIFE),
        }
    }

    fn ticket_for(&self, ring: &Planned<'_>) -> SessionTicket {
        let Target { device, endpoint, .. } = &ring.of.target;
        SessionTicket {
            role: Role::Invited { user: ring.of.user },
            own: Member { device: device.clone(), endpoint: endpoint.clone() },
            peer: Some(self.member()),
            ..self.own_ticket()
        }
    }

    fn member(&self) -> Member {
        Member { device: self.inviter.id.clone(), endpoint: self.routing.asked.from.clone() }
    }
}

/// A rung device, as the inviter is told.
pub(crate) fn rung_device(alias: String, target: &Target) -> RungDevice {
    RungDevice { alias, endpoint: target.endpoint.clone(), kind: target.kind.clone() }
}

/// A target with its place in the plan.
pub(crate) struct Planned<'a> {
    pub(crate) of: &'a Reachable,
    wave: u16,
    starts_after: Duration,
    ring_time: Duration,
}

impl<'a> Planned<'a> {
    /// The rings of a plan, its waves counted from this one.
    pub(crate) fn of(plan: &Plan, targets: &'a [Reachable], first_wave: u16) -> Vec<Self> {
        let waves = (first_wave..=u16::MAX).zip(&plan.waves);
        waves
            .flat_map(|(wave, it)| it.rings.iter().map(move |ring| (wave, it.starts_after, ring)))
            .filter_map(|(wave, starts_after, ring)| {
                let of = targets.get(usize::from(ring.target.0))?;
                Some(Self { of, wave, starts_after, ring_time: ring.ring_time })
            })
            .collect()
    }

    pub(crate) fn ends_after(&self) -> Duration {
        self.starts_after + self.ring_time
    }

    /// The same ring, over when this time is; none if nothing worth ringing is left.
    pub(crate) fn within(self, left: Duration) -> Option<Self> {
        let ring_time = self.ring_time.min(left.saturating_sub(self.starts_after));
        (ring_time >= MIN_RING_TIME).then_some(Self { ring_time, ..self })
    }
}
