//! Take: the inviter chooses among the devices that accepted (INV-6).
//!
//! After an invite with `take: choose` an accept only *offers* the device. The inviter takes one or
//! several of those offered; the other devices of the same users are told to stop. Who is never
//! taken falls silent with the ring time.

use alloc::{collections::BTreeSet, vec::Vec};

use rand_core::CryptoRng;
use switchhook_protocol::{
    error::ErrorCode,
    event::{DeviceTaken, Event},
    id::DeviceId,
    invitation::StopReason,
    time::Timestamp,
};

use super::{NEWS_LIFE, accept::joins, message, set_invitation, set_leg, stop};
use crate::{
    row::{Device, Invitation, InvitationState, Leg, LegState, Session, Write},
    ticket::Member,
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
    /// Which devices, and by which identifier each takes part, as the inviter's tickets say.
    pub chosen: &'a [(Device, Member)],
    /// When.
    pub now: Timestamp,
}

/// Decides a take of these devices; a repeat changes nothing.
pub fn take(facts: Taking<'_>, rng: &mut impl CryptoRng) -> Result<Vec<Write>, ErrorCode> {
    let chosen: BTreeSet<&DeviceId> = facts.chosen.iter().map(|(device, _)| &device.id).collect();
    let mut writes = Vec::new();
    let (mut users, mut seen) = (BTreeSet::new(), BTreeSet::new());
    // The same ticket may be there twice.
    for (device, member) in facts.chosen.iter().filter(|(device, _)| seen.insert(&device.id)) {
        let leg = facts.legs.iter().find(|leg| leg.device == device.id).ok_or(ErrorCode::BadTicket)?;
        match leg.state {
            LegState::Offered => {
                users.insert(leg.user);
                writes.extend(facts.take(leg, (device, member), rng)?);
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
        (device, member): (&Device, &Member),
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Write>, ErrorCode> {
        let rings = |it: &&Invitation| it.user == leg.user && it.state == InvitationState::Ringing;
        self.invitations.iter().find(rings).ok_or(ErrorCode::NoLongerRinging)?;
        let event = Event::Taken(DeviceTaken { session: self.session.id.clone() });
        let mut writes = alloc::vec![set_leg(leg, LegState::Taken, self.now)];
        writes.extend(joins(self.session, self.inviter, (device, member), leg.user, self.now));
        writes.push(message(&device.id, &event, (None, self.now.after(NEWS_LIFE)), rng));
        Ok(writes)
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
            (rung.device(device), ticket.own)
        };
        let facts = Taking {
            session: &rung.session,
            inviter: &alice(),
            invitations: core::slice::from_ref(&rung.invitation),
            legs: &rung.legs,
            chosen: &devices.iter().map(chosen).collect::<Vec<_>>(),
            now: NOW,
        };
        take(facts, &mut TestRng(3))
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
}
