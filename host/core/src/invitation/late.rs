//! Devices that come while their user is rung: registered only now, or back after their own ring was over
//! (INV-2, PUSH-3).
//!
//! The router is asked about all of the user's devices as they are now, and its plan counts for those
//! that are late: their wave, their ring time. They ring no longer than the user does. Whoever rings,
//! has answered or was told to stop is not touched. Of the user's course, when the router is asked again and
//! whom it forwards to stay as they are; its devices become more.

use alloc::vec::Vec;

use rand_core::CryptoRng;
use switchhook_protocol::{id::DeviceId, time::Timestamp};

use super::{course::Course, going_on::GoingOn, legs::Planned};
use crate::{
    policy::route::Plan,
    row::{InvitationState, Leg, LegState, Write},
};

/// Whether a device has not been rung: it has no leg, or the ring was over before it had a connection.
pub fn is_late(device: &DeviceId, legs: &[Leg], now: Timestamp) -> bool {
    legs.iter().find(|leg| leg.device == *device).is_none_or(|leg| missed(leg, now))
}

/// The legs that the router is told of: those of devices that are late are as if they had not been.
pub fn without_late(legs: &[Leg], now: Timestamp) -> Vec<Leg> {
    legs.iter().filter(|leg| !missed(leg, now)).cloned().collect()
}

fn missed(leg: &Leg, now: Timestamp) -> bool {
    leg.state == LegState::Queued && leg.lease_until <= now
}

/// Rings the late devices of a plan, if their user still rings.
pub fn join(facts: GoingOn<'_>, course: &Course, plan: &Plan, rng: &mut impl CryptoRng) -> Vec<Write> {
    let left = facts.now.until(facts.invitation.rings_until);
    if facts.invitation.state != InvitationState::Ringing {
        return Vec::new();
    }
    let rings: Vec<Planned<'_>> = Planned::of(plan, &course.targets, facts.next_wave())
        .into_iter()
        .filter(|ring| is_late(&ring.of.target.device, facts.legs, facts.now))
        .filter_map(|ring| ring.within(left))
        .collect();
    let Some(longest) = rings.iter().map(Planned::ends_after).max() else { return Vec::new() };
    let mut writes = alloc::vec![Write::SetCourse {
        session: facts.session.id.clone(),
        user: facts.invitation.user,
        course: course.seal(facts.keys, rng),
    }];
    writes.extend(facts.legs_of(&rings, longest, rng));
    writes
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::{
        invitation::testing::{
            NOW, PHONE, RungCall, TABLET, alice, appended, course, reachable, ring_all, ringing, routing,
            rung_legs,
        },
        policy::route::{Ring, TargetIndex, Wave},
        testing::TestRng,
    };

    /// Bob's phone rings for 30 s; the tablet comes so many seconds later.
    fn tablet_after(rung: &RungCall, seconds: u64, plan: &Plan) -> Vec<Write> {
        let facts = GoingOn {
            keys: &rung.keys,
            session: &rung.session,
            routing: &routing(),
            inviter: &alice(),
            invitation: &rung.invitation,
            legs: &rung.legs,
            now: NOW.after(Duration::from_secs(seconds)),
        };
        join(facts, &course(alloc::vec![reachable(PHONE), reachable(TABLET)]), plan, &mut TestRng(8))
    }

    #[test]
    fn inv_2_a_late_device_rings_once_and_no_longer_than_its_user() {
        let mut rung = ringing(&[PHONE]);

        let writes = tablet_after(&rung, 10, &ring_all(2));

        let legs = rung_legs(&writes);
        assert_eq!((legs.len(), legs[0].device.as_str(), legs[0].state), (1, TABLET, LegState::Queued));
        assert_eq!(legs[0].lease_until, rung.invitation.rings_until);
        let told: Vec<_> = appended(&writes).into_iter().map(|(to, event)| (to, event.kind())).collect();
        assert_eq!(told, [(TABLET.parse().unwrap(), "invite"), (alice().id, "rerouted")]);
        rung.legs.extend(legs);
        assert_eq!(tablet_after(&rung, 11, &ring_all(2)), []);
    }

    #[test]
    fn inv_2_a_late_device_waits_for_its_wave_and_is_left_out_where_the_router_does_so() {
        let rung = ringing(&[PHONE]);
        let ring = |index| Ring { target: TargetIndex(index), ring_time: Duration::from_mins(1) };
        let wave =
            |index, after| Wave { rings: alloc::vec![ring(index)], starts_after: Duration::from_secs(after) };
        let in_turn = |after| Plan { waves: alloc::vec![wave(0, 0), wave(1, after)], ..ring_all(0) };

        let legs = rung_legs(&tablet_after(&rung, 10, &in_turn(5)));

        assert_eq!((legs[0].state, legs[0].lease_until), (LegState::Planned, rung.invitation.rings_until));
        assert_eq!(tablet_after(&rung, 10, &in_turn(20)), [], "the user's ringing is over by then");
        assert_eq!(tablet_after(&rung, 10, &ring_all(1)), [], "the router rings the phone alone");
    }

    #[test]
    fn push_3_a_device_that_was_away_for_its_own_ring_is_rung_while_its_user_is() {
        let mut rung = ringing(&[TABLET]);
        rung.legs[0].lease_until = NOW.after(Duration::from_secs(5));
        let rings = |rung: &RungCall, seconds| {
            let legs = rung_legs(&tablet_after(rung, seconds, &ring_all(2)));
            legs.iter().any(|leg| leg.device.as_str() == TABLET && leg.state == LegState::Queued)
        };
        assert!(!rings(&rung, 4), "its ring still waits");
        assert!(rings(&rung, 5));
        rung.legs[0].state = LegState::Pushed;
        assert!(!rings(&rung, 5), "its ring was sent");
    }

    #[test]
    fn inv_17_nobody_is_late_for_an_invite_that_is_over() {
        let mut rung = ringing(&[PHONE]);
        for state in [InvitationState::Taken, InvitationState::Cancelled, InvitationState::NoAnswer] {
            rung.invitation.state = state;
            assert_eq!(tablet_after(&rung, 1, &ring_all(2)), []);
        }
        rung.invitation.state = InvitationState::Ringing;
        assert_eq!(tablet_after(&rung, 30, &ring_all(2)), []);
    }
}
