//! The other answers: decline, cancel, and what devices tell of their ringers (INV-4, INV-17).

use alloc::{string::String, vec::Vec};

use rand_core::CryptoRng;
use switchhook_protocol::{
    error::ErrorCode,
    event::{Declined, Event, Outcome, PeerRinging},
    id::DeviceId,
    invitation::{StopReason, UserOutcome},
    time::Timestamp,
};

use super::{
    NEWS_LIFE,
    course::Course,
    going_on::{became, reroute},
    message, set_invitation, set_leg, stop,
};
use crate::{
    policy::route::LegResult,
    row::{Invitation, InvitationState, Leg, LegState, Write},
    seal::KeyRing,
    session::check_reason,
    ticket::{Alias, SessionTicket},
};

/// The reason of a decline that means: in another session.
pub const BUSY: &str = "busy";

/// Decides a decline: the inviter is told, and once more when it was the user's last device (INV-4). The
/// router may want to be asked first.
pub fn decline(
    keys: &KeyRing,
    ticket: &SessionTicket,
    reason: &str,
    (invitation, legs, course): (&Invitation, &[Leg], Option<&Course>),
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Write>, ErrorCode> {
    check_reason(reason)?;
    let leg = own_leg(ticket, legs)?;
    if matches!(leg.state, LegState::Declined | LegState::Busy) {
        return Ok(Vec::new());
    }
    if invitation.state != InvitationState::Ringing || !rings(leg) {
        return Err(ErrorCode::NoLongerRinging);
    }
    let inviter = &ticket.peer()?.device;
    let until = (None, now.after(NEWS_LIFE));
    let told = Event::Decline(Declined {
        session: ticket.session.clone(),
        alias: alias(keys, ticket, rng),
        endpoint: ticket.own.endpoint.clone(),
        reason: reason.into(),
    });
    let (state, result) = if reason == BUSY {
        (LegState::Busy, LegResult::Busy)
    } else {
        (LegState::Declined, LegResult::Declined)
    };
    let mut writes = alloc::vec![set_leg(leg, state, now), message(inviter, &told, until, rng)];
    // Devices that an earlier plan has stopped, or whose own ring is over, are as good as declined.
    let last = legs.iter().all(|other| other.device == leg.device || !other.rings_at(now));
    let asked = course.is_some_and(|it| it.after(result) || (last && it.forward().is_some()));
    if asked {
        writes.push(reroute(invitation, now));
    } else if last {
        let own = Leg { state, ..leg.clone() };
        let ended: Vec<&Leg> =
            legs.iter().map(|other| if other.device == leg.device { &own } else { other }).collect();
        let (state, became) = became(&ended);
        writes.push(set_invitation(&leg.session, leg.user, state, None));
        writes.extend(stop(ended, StopReason::NoAnswer, now, rng));
        let word = course.and_then(Course::word);
        writes.push(outcome(invitation, inviter, (became, word), now, rng));
    }
    Ok(writes)
}

/// Decides a cancel by the inviter: every rung device of every user who has not accepted stops (INV-17).
pub fn cancel(
    invitations: &[Invitation],
    legs: &[Leg],
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Write>, ErrorCode> {
    let ringing = |invitation: &&Invitation| invitation.state == InvitationState::Ringing;
    let mut writes = Vec::new();
    for invitation in invitations.iter().filter(ringing) {
        let cancelled = InvitationState::Cancelled;
        writes.push(set_invitation(&invitation.session, invitation.user, cancelled, None));
        let legs = legs.iter().filter(|leg| leg.user == invitation.user);
        writes.extend(stop(legs, StopReason::Cancelled, now, rng));
    }
    let cancelled = invitations.iter().any(|one| one.state == InvitationState::Cancelled);
    if writes.is_empty() && !cancelled { Err(ErrorCode::NoLongerRinging) } else { Ok(writes) }
}

/// A device's ringer has begun: the inviter may hear the ring back.
pub fn ringing(
    keys: &KeyRing,
    ticket: &SessionTicket,
    legs: &[Leg],
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Write>, ErrorCode> {
    let leg = own_leg(ticket, legs)?;
    match leg.state {
        LegState::Queued | LegState::Pushed => {}
        LegState::Rang => return Ok(Vec::new()),
        LegState::Planned
        | LegState::Offered
        | LegState::Taken
        | LegState::Declined
        | LegState::Busy
        | LegState::Stopped
        | LegState::StopConfirmed => return Err(ErrorCode::NoLongerRinging),
    }
    let event = Event::Ringing(PeerRinging {
        session: ticket.session.clone(),
        alias: alias(keys, ticket, rng),
        endpoint: ticket.own.endpoint.clone(),
    });
    let ring = message(&ticket.peer()?.device, &event, (None, leg.lease_until), rng);
    Ok(alloc::vec![set_leg(leg, LegState::Rang, now), ring])
}

/// A device's ringer has really stopped.
pub fn stopped(ticket: &SessionTicket, legs: &[Leg], now: Timestamp) -> Result<Vec<Write>, ErrorCode> {
    let leg = own_leg(ticket, legs)?;
    Ok(match leg.state {
        LegState::Planned | LegState::Queued | LegState::Pushed | LegState::Rang | LegState::Stopped => {
            alloc::vec![set_leg(leg, LegState::StopConfirmed, now)]
        }
        LegState::Offered
        | LegState::Taken
        | LegState::Declined
        | LegState::Busy
        | LegState::StopConfirmed => Vec::new(),
    })
}

/// What became of a user, told to the inviter.
pub(crate) fn outcome(
    invitation: &Invitation,
    inviter: &DeviceId,
    (outcome, word): (UserOutcome, Option<String>),
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Write {
    let event = Event::Outcome(Outcome {
        session: invitation.session.clone(),
        endpoint: invitation.endpoint.clone(),
        outcome,
        word,
    });
    message(inviter, &event, (None, now.after(NEWS_LIFE)), rng)
}

fn own_leg<'a>(ticket: &SessionTicket, legs: &'a [Leg]) -> Result<&'a Leg, ErrorCode> {
    legs.iter().find(|leg| leg.device == ticket.own.device).ok_or(ErrorCode::BadTicket)
}

const fn rings(leg: &Leg) -> bool {
    matches!(leg.state, LegState::Queued | LegState::Pushed | LegState::Rang | LegState::Offered)
}

fn alias(keys: &KeyRing, ticket: &SessionTicket, rng: &mut impl CryptoRng) -> String {
    Alias { session: ticket.session.clone(), device: ticket.own.device.clone() }.seal(keys, rng)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::{
        invitation::testing::{NOW, PHONE, RungCall, TABLET, alice, appended, ringing as rung},
        testing::TestRng,
    };

    fn decline_by(rung: &RungCall, device: &str) -> Result<Vec<Write>, ErrorCode> {
        let (ticket, ..) = rung.accepting(device, false);
        decline(&rung.keys, &ticket, "later", (&rung.invitation, &rung.legs, None), NOW, &mut TestRng(2))
    }

    #[test]
    fn inv_4_one_decline_among_several_and_all_declined_are_told_apart() {
        let mut rung = rung(&[PHONE, TABLET]);
        let first = decline_by(&rung, PHONE).unwrap();
        let sent = appended(&first);
        assert!(matches!(&sent[..], [(to, Event::Decline(declined))]
            if *to == alice().id && declined.reason == "later"));
        rung.apply(&first);
        let second = decline_by(&rung, TABLET).unwrap();
        let sent = appended(&second);
        assert!(matches!(&sent[..], [(_, Event::Decline(_)), (_, Event::Outcome(outcome))]
            if outcome.outcome == UserOutcome::AllDeclined));
        rung.apply(&second);
        assert_eq!(rung.invitation.state, InvitationState::Declined);
        assert_eq!(decline_by(&rung, TABLET), Ok(Vec::new()));
    }

    #[test]
    fn inv_4_who_declines_after_the_others_rings_were_over_was_the_last() {
        let mut rung = rung(&[PHONE, TABLET]);
        rung.legs[0].state = LegState::Rang;
        rung.legs[0].lease_until = NOW.after(Duration::from_millis(1));
        let told = |writes: &[Write]| -> Vec<(String, &'static str)> {
            let told = appended(writes).into_iter();
            told.map(|(to, event)| (String::from(to.as_str()), event.kind())).collect()
        };
        let alice = String::from(alice().id.as_str());
        assert_eq!(
            told(&decline_by(&rung, TABLET).unwrap()),
            [(alice.clone(), "decline")],
            "the phone rings"
        );

        rung.legs[0].lease_until = NOW;
        let writes = decline_by(&rung, TABLET).unwrap();

        let phone = String::from(PHONE);
        assert_eq!(told(&writes), [(alice.clone(), "decline"), (phone, "cancel"), (alice, "outcome")]);
        rung.apply(&writes);
        assert_eq!(rung.invitation.state, InvitationState::NoAnswer, "one of both did not answer");
    }

    #[test]
    fn inv_17_a_cancel_stops_every_rung_device_and_repeats_harmlessly() {
        let mut rung = rung(&[PHONE, TABLET]);
        let cancelled = |rung: &RungCall| {
            cancel(core::slice::from_ref(&rung.invitation), &rung.legs, NOW, &mut TestRng(2))
        };
        let writes = cancelled(&rung).unwrap();
        let stopped: Vec<DeviceId> = appended(&writes).into_iter().map(|(to, _)| to).collect();
        assert_eq!(stopped, [PHONE.parse().unwrap(), TABLET.parse().unwrap()]);
        rung.apply(&writes);
        assert_eq!(cancelled(&rung), Ok(Vec::new()));
        rung.invitation.state = InvitationState::Taken;
        assert_eq!(cancelled(&rung), Err(ErrorCode::NoLongerRinging));
    }

    #[test]
    fn a_stop_is_confirmed_only_by_the_device_that_rang() {
        let mut rung = rung(&[PHONE, TABLET]);
        let (ticket, ..) = rung.accepting(TABLET, false);
        let writes = stopped(&ticket, &rung.legs, NOW).unwrap();
        rung.apply(&writes);
        assert_eq!(rung.legs[1].state, LegState::StopConfirmed);
        assert_eq!(rung.legs[0].state, LegState::Queued);
        assert_eq!(stopped(&ticket, &rung.legs[..1], NOW), Err(ErrorCode::BadTicket));
    }

    #[test]
    fn a_ringing_device_is_told_to_the_inviter_once() {
        let mut rung = rung(&[PHONE]);
        let (ticket, ..) = rung.accepting(PHONE, false);
        let told = |rung: &RungCall| ringing(&rung.keys, &ticket, &rung.legs, NOW, &mut TestRng(2));
        let writes = told(&rung).unwrap();
        assert!(matches!(&appended(&writes)[..], [(to, Event::Ringing(_))] if *to == alice().id));
        rung.apply(&writes);
        assert_eq!(told(&rung), Ok(Vec::new()));
    }
}
