//! Invitations: who rings, who is taken, who is told to stop (INV-1 to INV-6, INV-15, INV-17).
//!
//! An invite opens one [`Invitation`](crate::row::Invitation) per invited user and one [`Leg`] per device, in one
//! transaction with the messages that ring the devices of the first wave; the messages of later
//! waves wait in their legs. From then on each request is decided over the rows that it touches:
//! accept is taken for the user's invitation if that still rings, so that the first commit wins and
//! the loser is told at once (INV-6); the user's other legs are stopped in the same transaction. One
//! user's answer touches no other user's rows (INV-15).
//!
//! **A ring is a lease.** A leg has a time at which its device stops by its own clock. A device that
//! is told to stop confirms when its ringer has really stopped; silence is proven by the
//! confirmation, or by the lease being over.

pub mod accept;
pub mod answer;
pub mod course;
pub mod going_on;
pub mod invite;
pub mod late;
mod legs;
pub mod ring;
pub mod routing;
pub mod take;

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use rand_core::CryptoRng;
use switchhook_protocol::{
    event::{CancelRing, Event},
    id::{DeviceId, SessionId},
    invitation::StopReason,
    time::Timestamp,
};

use crate::{
    mint,
    row::{InvitationState, Leg, LegState, Message, Write},
};

/// How long a message about a session counts beyond the ring: a device that comes back then still learns of it.
pub const NEWS_LIFE: Duration = Duration::from_mins(5);

/// An event for a device's mailbox.
pub(crate) fn message(
    device: &DeviceId,
    event: &Event,
    (collapse_key, expires_at): (Option<String>, Timestamp),
    rng: &mut impl CryptoRng,
) -> Write {
    Write::Append(Message {
        device: device.clone(),
        id: mint::message(rng),
        event: to_json(event),
        expires_at,
        collapse_key,
    })
}

#[expect(clippy::expect_used, reason = "events have string keys and no failing Serialize")]
fn to_json(event: &Event) -> String {
    serde_json::to_string(event).expect("an event is JSON")
}

/// Stops the legs that ring or will.
///
/// A leg whose wave has not begun never rang, so that its silence needs no confirmation.
pub(crate) fn stop<'a>(
    legs: impl IntoIterator<Item = &'a Leg>,
    reason: StopReason,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for leg in legs {
        match leg.state {
            LegState::Planned => writes.push(set_leg(leg, LegState::StopConfirmed, now)),
            LegState::Queued | LegState::Pushed | LegState::Rang | LegState::Offered => {
                let event = Event::Cancel(CancelRing { session: leg.session.clone(), reason });
                writes.push(set_leg(leg, LegState::Stopped, now));
                writes.push(message(&leg.device, &event, (None, now.after(NEWS_LIFE)), rng));
            }
            LegState::Taken
            | LegState::Declined
            | LegState::Busy
            | LegState::Stopped
            | LegState::StopConfirmed => {}
        }
    }
    writes
}

pub(crate) fn set_leg(leg: &Leg, state: LegState, at: Timestamp) -> Write {
    Write::SetLeg { session: leg.session.clone(), device: leg.device.clone(), state, at }
}

pub(crate) fn set_invitation(
    session: &SessionId,
    user: u16,
    state: InvitationState,
    taken_by: Option<DeviceId>,
) -> Write {
    Write::SetInvitation { session: session.clone(), user, state, taken_by }
}

#[cfg(test)]
pub(crate) mod testing;
