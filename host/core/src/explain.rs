//! "Why did it not ring?": what became of a session's legs, on one line of time.
//!
//! Legs keep when they came how far ([`Milestones`](crate::row::Milestones)); from that follow the line of
//! time and, for each device, one sentence that says whether it rang and if not, why.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use switchhook_protocol::{id::DeviceId, time::Timestamp};

use crate::row::{Decision, Forward, Invitation, InvitationState, Leg, LegState, Participant, Session};

/// What happened to a session at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment<'a> {
    /// When.
    pub at: Timestamp,
    /// To what.
    pub subject: Subject<'a>,
    /// What.
    pub what: Happened,
}

/// What something happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The session as a whole.
    Session,
    /// One device.
    Device(&'a DeviceId),
    /// What was decided.
    Decision(&'a Decision),
    /// To whom it went on.
    Forward(&'a Forward),
}

/// What is known of a session.
#[derive(Debug, Clone, Copy)]
pub struct Course<'a> {
    /// Its row.
    pub session: &'a Session,
    /// One a device.
    pub legs: &'a [Leg],
    /// Who takes part.
    pub participants: &'a [Participant],
    /// What plugins decided.
    pub decisions: &'a [Decision],
    /// To whom it went on.
    pub forwards: &'a [Forward],
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    /// A plugin, or its slot's declared default, decided: a route, a NAT verdict.
    Decided,
    /// The invite was committed.
    Invited,
    /// The ringing went on to somebody else's devices.
    Forwarded,
    /// The ring was put into the device's mailbox.
    Queued,
    /// It was written to a connection of the device.
    Pushed,
    /// The device said that its ringer has begun.
    Rang,
    /// The device was taken.
    Taken,
    /// The device declined.
    Declined,
    /// The device was told to stop.
    ToldToStop,
    /// The device said that its ringer has stopped.
    Silent,
    /// The device takes part since then.
    Joined,
}

/// Whether a device rang, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It rang.
    Rang,
    /// It was taken or declined before it said that it rings.
    Answered,
    /// Its wave has not begun.
    WaveToCome,
    /// It was over before its wave began.
    OverBeforeItsWave,
    /// The ring waits in its mailbox: the device has no connection.
    Away,
    /// The ring was over before the device had a connection.
    WasAway,
    /// The ring was written to its connection, and the device has not said that it rings.
    NoWord,
    /// The ring was written to its connection, and the device never said that it rings.
    NeverSaid,
}

impl Why {
    /// In a sentence for a person.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Rang => "it rang",
            Self::Answered => "it was answered before it said that it rings",
            Self::WaveToCome => "its wave has not begun",
            Self::OverBeforeItsWave => "it was over before its wave began",
            Self::Away => "the ring waits in its mailbox: the device has no connection",
            Self::WasAway => "the device had no connection until the ring was over",
            Self::NoWord => "the ring was sent to the device, which has not said that it rings",
            Self::NeverSaid => "the ring was sent to the device, which never said that it rings",
        }
    }
}

/// Why a device did or did not ring.
pub fn why(leg: &Leg, now: Timestamp) -> Why {
    let times = leg.times;
    let over = times.ended.is_some() || times.silent.is_some() || leg.lease_until <= now;
    match (times.queued, times.pushed, times.rang) {
        (_, _, Some(_)) => Why::Rang,
        _ if matches!(
            leg.state,
            LegState::Offered | LegState::Taken | LegState::Declined | LegState::Busy
        ) =>
        {
            Why::Answered
        }
        (None, ..) if over => Why::OverBeforeItsWave,
        (None, ..) => Why::WaveToCome,
        (_, None, _) if over => Why::WasAway,
        (_, None, _) => Why::Away,
        (_, Some(_), _) if over => Why::NeverSaid,
        (_, Some(_), _) => Why::NoWord,
    }
}

/// Whether a device is proven silent: it said so, it never rang, or its lease is over.
pub fn is_silent(leg: &Leg, now: Timestamp) -> bool {
    leg.state == LegState::StopConfirmed || leg.lease_until <= now
}

/// Everything that is known of a session, in the order of time; of one millisecond, what leads to the rest comes first.
pub fn line(known: Course<'_>) -> Vec<Moment<'_>> {
    let Course { session, legs, participants, decisions, forwards } = known;
    let invited = Moment { at: session.created_at, subject: Subject::Session, what: Happened::Invited };
    let mut line: Vec<Moment<'_>> = core::iter::once(invited)
        .chain(legs.iter().flat_map(of_leg))
        .chain(participants.iter().map(|participant| Moment {
            at: participant.joined_at,
            subject: Subject::Device(&participant.device),
            what: Happened::Joined,
        }))
        .chain(decisions.iter().map(|decision| Moment {
            at: decision.at,
            subject: Subject::Decision(decision),
            what: Happened::Decided,
        }))
        .chain(forwards.iter().map(|forward| Moment {
            at: forward.at,
            subject: Subject::Forward(forward),
            what: Happened::Forwarded,
        }))
        .collect();
    line.sort_by_key(|moment| (moment.at, moment.what));
    line
}

fn of_leg(leg: &Leg) -> impl Iterator<Item = Moment<'_>> {
    let times = leg.times;
    let ended = match leg.state {
        LegState::Taken => Happened::Taken,
        LegState::Declined | LegState::Busy => Happened::Declined,
        LegState::Planned
        | LegState::Queued
        | LegState::Pushed
        | LegState::Rang
        | LegState::Offered
        | LegState::Stopped
        | LegState::StopConfirmed => Happened::ToldToStop,
    };
    let moments = [
        (times.queued, Happened::Queued),
        (times.pushed, Happened::Pushed),
        (times.rang, Happened::Rang),
        (times.ended, ended),
        (times.silent, Happened::Silent),
    ];
    let subject = Subject::Device(&leg.device);
    moments.into_iter().filter_map(move |(at, what)| Some(Moment { at: at?, subject, what }))
}

/// How many of a user's devices rang, of how many; and what became of the user.
pub fn of_user(invitation: &Invitation, legs: &[Leg]) -> (usize, usize, InvitationState) {
    let own = legs.iter().filter(|leg| leg.user == invitation.user);
    let rang = own.clone().filter(|leg| leg.times.rang.is_some()).count();
    (rang, own.count(), invitation.state)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::{
        invitation::testing::{NOW, PHONE, TABLET, ringing},
        policy::Slot,
        row::Milestones,
    };

    fn leg(state: LegState, times: Milestones) -> Leg {
        let leg = ringing(&[PHONE]).legs.remove(0);
        Leg { state, times, ..leg }
    }

    fn at(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    #[test]
    fn each_way_of_not_ringing_has_its_own_word() {
        let queued = Milestones { queued: Some(at(0)), ..Milestones::default() };
        let pushed = Milestones { pushed: Some(at(1)), ..queued };
        let rang = Milestones { rang: Some(at(2)), ..pushed };
        let stopped = |times| Milestones { ended: Some(at(3)), ..times };
        for (state, times, expected) in [
            (LegState::Planned, Milestones::default(), Why::WaveToCome),
            (
                LegState::StopConfirmed,
                Milestones { silent: Some(at(3)), ..Milestones::default() },
                Why::OverBeforeItsWave,
            ),
            (LegState::Queued, queued, Why::Away),
            (LegState::Stopped, stopped(queued), Why::WasAway),
            (LegState::Pushed, pushed, Why::NoWord),
            (LegState::Stopped, stopped(pushed), Why::NeverSaid),
            (LegState::Rang, rang, Why::Rang),
            (LegState::Stopped, stopped(rang), Why::Rang),
            (LegState::Declined, stopped(pushed), Why::Answered),
        ] {
            assert_eq!(why(&leg(state, times), NOW), expected, "{state:?}");
        }
        let lease_over = leg(LegState::Queued, queued);
        assert_eq!(why(&lease_over, lease_over.lease_until), Why::WasAway);
    }

    #[test]
    fn silence_is_said_or_follows_from_the_lease() {
        let stopped = leg(LegState::Stopped, Milestones::default());
        assert!(!is_silent(&stopped, NOW));
        assert!(is_silent(&stopped, stopped.lease_until));
        assert!(is_silent(&leg(LegState::StopConfirmed, Milestones::default()), NOW));
    }

    #[test]
    fn the_line_of_time_is_in_order_over_all_devices() {
        let rung = ringing(&[PHONE, TABLET]);
        let mut legs = rung.legs.clone();
        legs[0].times = Milestones {
            queued: Some(at(0)),
            pushed: Some(at(3)),
            rang: Some(at(4)),
            ..Milestones::default()
        };
        legs[1].times = Milestones {
            queued: Some(at(0)),
            pushed: Some(at(1)),
            ended: Some(at(2)),
            ..Milestones::default()
        };
        legs[1].state = LegState::Declined;
        let decided = |at| Decision {
            at,
            slot: Slot::InviteRouter,
            plugin: None,
            version: 0,
            outcome: "ring all".into(),
            failure: None,
            micros: 1,
        };
        let decisions = [decided(at(0)), decided(at(2))];
        let to = rung.invitation.endpoint.clone();
        let forwards = [Forward { session: rung.session.id.clone(), user: 0, to, at: at(2) }];
        let known = Course {
            session: &rung.session,
            legs: &legs,
            participants: &[],
            decisions: &decisions,
            forwards: &forwards,
        };
        let on_phone = |subject| match subject {
            Subject::Device(device) => Some(device.as_str() == PHONE),
            Subject::Session | Subject::Decision(_) | Subject::Forward(_) => None,
        };
        let line = line(known).into_iter();
        let what: Vec<_> = line.map(|moment| (on_phone(moment.subject), moment.what)).collect();
        assert_eq!(
            what,
            [
                (None, Happened::Decided),
                (None, Happened::Invited),
                (Some(true), Happened::Queued),
                (Some(false), Happened::Queued),
                (Some(false), Happened::Pushed),
                (None, Happened::Decided),
                (None, Happened::Forwarded),
                (Some(false), Happened::Declined),
                (Some(true), Happened::Pushed),
                (Some(true), Happened::Rang),
            ]
        );
        assert_eq!(of_user(&rung.invitation, &legs), (1, 2, InvitationState::Ringing));
    }
}
