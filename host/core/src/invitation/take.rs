//! Take: the inviter chooses among the devices that accepted (INV-6).
//!
//! After an invite with `take: choose` an accept only *offers* the device. The inviter takes one or
//! several of those offered; the other devices of the same users are told to stop. Who is never
//! taken falls silent with the ring time.
//!
//! Whoever left between an accept and its take knows the media key of that accept, and the tickets of both sides are of
//! the generation before: the take gives both new ones (INV-11).

use alloc::{collections::BTreeSet, vec::Vec};

use rand_core::CryptoRng;
use switchhook_protocol::{
    error::ErrorCode,
    event::{DeviceTaken, Event},
    id::DeviceId,
    invitation::StopReason,
    session::Renewed,
    time::Timestamp,
};

use super::{NEWS_LIFE, accept::joins, message, set_invitation, set_leg, stop};
use crate::{
    row::{Device, Invitation, InvitationState, Leg, LegState, Session, Write},
    seal::KeyRing,
    ticket::{MediaKey, Role, SessionTicket},
};

/// What a take is decided from.
#[derive(Debug, Clone, Copy)]
pub struct Taking<'a> {
    /// The session's row.
    pub session: &'a Session,
    /// The inviter's device.
    pub inviter: &'a Device,
    /// One an invited user.
    pub invitations: &'a [Invitation],
    /// One a rung device.
    pub legs: &'a [Leg],
    /// Which devices, and the inviter's ticket for each.
    pub chosen: &'a [(Device, SessionTicket)],
    /// The tenant's keys.
    pub keys: &'a KeyRing,
    /// When.
    pub now: Timestamp,
}

/// Decides a take of these devices; a repeat changes nothing.
pub fn take(facts: Taking<'_>, rng: &mut impl CryptoRng) -> Result<Vec<Write>, ErrorCode> {
    let chosen: BTreeSet<&DeviceId> = facts.chosen.iter().map(|(device, _)| &device.id).collect();
    let mut writes = Vec::new();
    let (mut users, mut seen) = (BTreeSet::new(), BTreeSet::new());
    // The same ticket may be there twice.
    for (device, ticket) in facts.chosen.iter().filter(|(device, _)| seen.insert(&device.id)) {
        let leg = facts.legs.iter().find(|leg| leg.device == device.id).ok_or(ErrorCode::BadTicket)?;
        match leg.state {
            LegState::Offered => {
                users.insert(leg.user);
                writes.extend(facts.take(leg, (device, ticket), rng)?);
            }
            LegState::Taken => {}
            LegState::Planned
            | LegState::Queued
            | LegState::Pushed
            | LegState::Rang
            | LegState::Declined
            | LegState::Busy
            | LegState::Stopped
            | LegState::StopConfirmed => return Err(ErrorCode::NoLongerRinging),
        }
    }
    for user in users {
        let own = facts.legs.iter().filter(|leg| leg.user == user);
        let first = own.clone().find(|leg| chosen.contains(&leg.device)).map(|leg| leg.device.clone());
        writes.push(set_invitation(&facts.session.id, user, InvitationState::Taken, first));
        let others = own.filter(|leg| !chosen.contains(&leg.device));
        writes.extend(stop(others, StopReason::AnsweredElsewhere, facts.now, rng));
    }
    Ok(writes)
}

impl Taking<'_> {
    fn take(
        &self,
        leg: &Leg,
        (device, ticket): (&Device, &SessionTicket),
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Write>, ErrorCode> {
        let rings = |it: &&Invitation| it.user == leg.user && it.state == InvitationState::Ringing;
        self.invitations.iter().find(rings).ok_or(ErrorCode::NoLongerRinging)?;
        let member = ticket.peer()?;
        let mut writes = alloc::vec![set_leg(leg, LegState::Taken, self.now)];
        writes.extend(joins(self.session, self.inviter, (device, member), leg.user, self.now));
        if ticket.generation == self.session.generation {
            writes.push(self.tell(&device.id, None, rng));
        } else {
            let role = Role::Invited { user: leg.user };
            let (own, peer) = (member.clone(), Some(ticket.own.clone()));
            let taken = SessionTicket { role, own, peer, ..ticket.clone() };
            let media_key = MediaKey::mint(rng);
            for own in [ticket, &taken] {
                let renewed = self.renewed(own, media_key, rng)?;
                writes.push(self.tell(&own.own.device, Some(renewed), rng));
            }
        }
        Ok(writes)
    }

    /// A ticket of this generation in the place of one that somebody's leaving has voided.
    fn renewed(
        &self,
        old: &SessionTicket,
        media_key: MediaKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Renewed, ErrorCode> {
        let generation = self.session.generation;
        let ticket = SessionTicket { generation, media_key, ..old.clone().renewed(self.now) };
        Ok(Renewed {
            ticket: ticket.seal(self.keys, rng),
            towards: ticket.peer()?.endpoint.clone(),
            media_key: media_key.reveal(),
        })
    }

    fn tell(&self, device: &DeviceId, renewed: Option<Renewed>, rng: &mut impl CryptoRng) -> Write {
        let event = Event::Taken(DeviceTaken { session: self.session.id.clone(), renewed });
        message(device, &event, (None, self.now.after(NEWS_LIFE)), rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        invitation::testing::{NOW, PHONE, RungCall, TABLET, alice, appended, ringing},
        testing::TestRng,
    };

    /// Both of Bob's devices have accepted.
    fn offered() -> RungCall {
        let mut rung = ringing(&[PHONE, TABLET]);
        for leg in &mut rung.legs {
            leg.state = LegState::Offered;
        }
        rung
    }

    fn take_of(rung: &RungCall, devices: &[&str]) -> Result<Vec<Write>, ErrorCode> {
        let chosen = |device: &&str| {
            let (ticket, ..) = rung.accepting(device, false);
            let own = ticket.peer().unwrap().clone();
            let inviters =
                SessionTicket { role: Role::Inviter, own, peer: Some(ticket.own.clone()), ..ticket };
            (rung.device(device), inviters)
        };
        let facts = Taking {
            session: &rung.session,
            inviter: &alice(),
            invitations: core::slice::from_ref(&rung.invitation),
            legs: &rung.legs,
            chosen: &devices.iter().map(chosen).collect::<Vec<_>>(),
            keys: &rung.keys,
            now: NOW,
        };
        take(facts, &mut TestRng(5))
    }

    #[test]
    fn inv_6_the_one_that_is_taken_joins_and_the_other_is_told_to_stop() {
        let mut rung = offered();
        let writes = take_of(&rung, &[TABLET]).unwrap();
        let sent = appended(&writes);
        assert!(matches!(&sent[..], [(taken, Event::Taken(_)), (stopped, Event::Cancel(cancel))]
            if taken.as_str() == TABLET && stopped.as_str() == PHONE
            && cancel.reason == StopReason::AnsweredElsewhere));
        rung.apply(&writes);
        assert_eq!(rung.invitation.state, InvitationState::Taken);
        assert_eq!(rung.participants.len(), 2);
        assert_eq!(take_of(&rung, &[TABLET]), Ok(Vec::new()), "a repeat changes nothing");
        assert_eq!(take_of(&rung, &[PHONE]), Err(ErrorCode::NoLongerRinging));
    }

    #[test]
    fn inv_6_several_may_be_taken_and_only_who_accepted() {
        let mut rung = offered();
        let writes = take_of(&rung, &[PHONE, TABLET]).unwrap();
        assert_eq!(appended(&writes).iter().filter(|(_, event)| matches!(event, Event::Taken(_))).count(), 2);
        rung.legs[1].state = LegState::Rang;
        assert_eq!(take_of(&rung, &[TABLET]), Err(ErrorCode::NoLongerRinging));
        rung.invitation.state = InvitationState::Cancelled;
        assert_eq!(take_of(&rung, &[PHONE]), Err(ErrorCode::NoLongerRinging));
    }

    #[test]
    fn inv_11_who_is_taken_after_somebody_left_goes_on_with_new_tickets_and_a_new_key_as_does_the_inviter() {
        let mut rung = offered();
        let known = rung.accepting(TABLET, false).0.media_key.reveal();
        rung.session.generation += 1;

        let sent = appended(&take_of(&rung, &[TABLET]).unwrap());

        let renewed: Vec<(DeviceId, Renewed)> = sent
            .into_iter()
            .filter_map(
                |(to, event)| if let Event::Taken(it) = event { Some((to, it.renewed?)) } else { None },
            )
            .collect();
        let [(inviter, inviters), (tablet, tablets)] = &renewed[..] else { panic!("{renewed:?}") };
        assert_eq!((inviter, tablet.as_str()), (&alice().id, TABLET));
        assert_eq!(inviters.media_key, tablets.media_key);
        assert_ne!(inviters.media_key, known);
        assert_eq!(tablets.towards, rung.inviter_endpoint());
        for (device, it) in &renewed {
            let ticket = SessionTicket::open(&rung.keys, &it.ticket, device, NOW).unwrap();
            assert_eq!(ticket.generation, rung.session.generation);
            assert_eq!(
                ticket.role,
                if *device == *inviter { Role::Inviter } else { Role::Invited { user: 0 } }
            );
            assert_eq!((&ticket.own.device, &ticket.peer.unwrap().endpoint), (device, &it.towards));
        }
    }
}
