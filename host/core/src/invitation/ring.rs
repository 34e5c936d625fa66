//! What time does to a ringing session: later waves begin, ring times end (INV-4).

use alloc::vec::Vec;

use rand_core::CryptoRng;
use switchhook_protocol::{
    id::DeviceId,
    invitation::{StopReason, UserOutcome},
    time::Timestamp,
};

use super::{answer::outcome, course::Course, going_on::reroute, set_invitation, set_leg, stop};
use crate::{
    mint,
    policy::route::LegResult,
    row::{Invitation, InvitationState, Leg, LegState, Message, Write},
};

/// Begins a wave: rings its legs whose users have not answered.
pub fn begin_wave(
    wave: u16,
    invitations: &[Invitation],
    legs: &[Leg],
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for leg in legs.iter().filter(|leg| leg.wave == wave && leg.state == LegState::Planned) {
        let rings = |one: &Invitation| one.user == leg.user && one.state == InvitationState::Ringing;
        let Some(event) = leg.ring.clone().filter(|_| invitations.iter().any(rings)) else { continue };
        writes.push(set_leg(leg, LegState::Queued, now));
        writes.push(Write::Append(Message {
            device: leg.device.clone(),
            id: mint::message(rng),
            event,
            expires_at: leg.lease_until,
            collapse_key: None,
        }));
    }
    writes
}

/// Ends the ring time of a user: whoever has not answered is stopped, and the inviter is told (INV-4), or the
/// router is asked how to go on.
pub fn end(
    invitation: &Invitation,
    legs: &[Leg],
    (inviter, course): (&DeviceId, Option<&Course>),
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Vec<Write> {
    if invitation.state != InvitationState::Ringing {
        return Vec::new();
    }
    let legs = legs.iter().filter(|leg| leg.user == invitation.user);
    let mut writes = stop(legs, StopReason::NoAnswer, now, rng);
    if course.is_some_and(|it| it.after(LegResult::NoAnswer) || it.forward().is_some()) {
        writes.push(reroute(invitation, now));
        return writes;
    }
    let no_answer = InvitationState::NoAnswer;
    writes.push(set_invitation(&invitation.session, invitation.user, no_answer, None));
    let word = course.and_then(Course::word);
    writes.push(outcome(invitation, inviter, (UserOutcome::NoAnswer, word), now, rng));
    writes
}

#[cfg(test)]
mod tests {
    use switchhook_protocol::event::Event;

    use super::*;
    use crate::{
        invitation::testing::{NOW, PHONE, TABLET, alice, appended, ringing},
        testing::TestRng,
    };

    #[test]
    fn inv_4_ring_time_over_is_told_to_the_inviter_and_stops_the_devices() {
        let mut rung = ringing(&[PHONE]);
        let writes = end(&rung.invitation, &rung.legs, (&alice().id, None), NOW, &mut TestRng(2));
        assert!(
            matches!(&appended(&writes)[..], [(stopped, Event::Cancel(_)), (told, Event::Outcome(outcome))]
            if stopped.as_str() == PHONE && *told == alice().id && outcome.outcome == UserOutcome::NoAnswer)
        );
        rung.apply(&writes);
        assert_eq!(end(&rung.invitation, &rung.legs, (&alice().id, None), NOW, &mut TestRng(2)), []);
    }

    #[test]
    fn a_wave_rings_its_own_legs_and_only_while_their_user_is_rung() {
        let mut rung = ringing(&[PHONE, TABLET]);
        rung.legs[1].state = LegState::Planned;
        rung.legs[1].wave = 1;
        rung.legs[1].ring = Some(r#"{"kind":"invite"}"#.into());
        let begun = |rung: &crate::invitation::testing::RungCall| {
            begin_wave(1, core::slice::from_ref(&rung.invitation), &rung.legs, NOW, &mut TestRng(2))
        };
        let writes = begun(&rung);
        assert_eq!(writes[0], set_leg(&rung.legs[1], LegState::Queued, NOW));
        assert!(matches!(&writes[1], Write::Append(message) if message.device.as_str() == TABLET));
        assert_eq!(writes.len(), 2);
        rung.invitation.state = InvitationState::Taken;
        assert_eq!(begun(&rung), []);
    }
}
