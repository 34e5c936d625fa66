//! Sessions: while they ring invitations, legs and timers, while they run participants.

use alloc::string::String;

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{ApplicationId, DeviceId, SessionId},
    invitation::TakeMode,
    time::Timestamp,
};

/// What is fixed about a session while it rings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// From invite to end.
    pub id: SessionId,
    /// Its application.
    pub application: ApplicationId,
    /// The inviter's device.
    pub inviter: DeviceId,
    /// The inviter's identifier.
    pub inviter_endpoint: EndpointId,
    /// What it is for.
    pub purpose: String,
    /// When the invite came.
    pub created_at: Timestamp,
    /// Its rows may be forgotten after this.
    pub expires_at: Timestamp,
    /// Of its membership, from 1; tickets of an earlier one open nothing.
    pub generation: u32,
    /// What rings a device of it later, sealed.
    pub routing: Option<String>,
    /// Who chooses among the devices that accept.
    pub take: TakeMode,
}

/// A device that takes part in a running session: the session runs while it has some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Of this session.
    pub session: SessionId,
    /// Which device.
    pub device: DeviceId,
    /// The identifier by which it takes part.
    pub endpoint: EndpointId,
    /// What the device is: `phone`, `tablet` …
    pub kind: String,
    /// Position of its user among the invited; none for the inviter.
    pub user: Option<u16>,
    /// Since when.
    pub joined_at: Timestamp,
    /// When a node last knew it alive; long after that it is taken out.
    pub seen_at: Timestamp,
}

/// How far one invited user's invitation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvitationState {
    /// Its devices ring, or will.
    Ringing,
    /// A device was taken.
    Taken,
    /// Every device declined.
    Declined,
    /// The inviter took it back.
    Cancelled,
    /// The ring time is over.
    NoAnswer,
}

/// One invited user (INV-15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Of this session.
    pub session: SessionId,
    /// Position among the invited.
    pub user: u16,
    /// What the user is reached by.
    pub endpoint: EndpointId,
    /// How far it is.
    pub state: InvitationState,
    /// The device that was taken.
    pub taken_by: Option<DeviceId>,
    /// Ringing ends then.
    pub rings_until: Timestamp,
    /// How its ringing goes on, sealed; none if nothing goes on.
    pub course: Option<String>,
}

/// How far one device's leg is. A ring is a lease: it is silent when the stop is confirmed, or the lease is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegState {
    /// Its wave has not begun.
    Planned,
    /// In the mailbox.
    Queued,
    /// Sent to the device.
    Pushed,
    /// The ringer has begun.
    Rang,
    /// The device accepted, and the inviter has not taken it yet (INV-6).
    Offered,
    /// The device took the invite.
    Taken,
    /// The device declined.
    Declined,
    /// The device declined, as its user is in another session.
    Busy,
    /// Told to stop.
    Stopped,
    /// The ringer has really stopped.
    StopConfirmed,
}

/// One rung device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Of this session.
    pub session: SessionId,
    /// Position of its user among the invited.
    pub user: u16,
    /// Which device.
    pub device: DeviceId,
    /// Its wave: of the session's, each plan has its own.
    pub wave: u16,
    /// How far it is.
    pub state: LegState,
    /// The ring's lease; the device stops by its own clock then.
    pub lease_until: Timestamp,
    /// What rings it: the message's event, made at the invite, waiting for its wave.
    pub ring: Option<String>,
    /// When its state last changed.
    pub changed_at: Timestamp,
    /// When it came so far.
    pub times: Milestones,
}

impl Leg {
    /// Whether its device rings or will, by then: a ring is over with its lease, also where nobody has said so. Who has
    /// accepted waits to be taken as long as its user is rung.
    pub fn rings_at(&self, now: Timestamp) -> bool {
        match self.state {
            LegState::Planned | LegState::Queued | LegState::Pushed | LegState::Rang => {
                now < self.lease_until
            }
            LegState::Offered => true,
            LegState::Taken
            | LegState::Declined
            | LegState::Busy
            | LegState::Stopped
            | LegState::StopConfirmed => false,
        }
    }
}

/// When a leg came so far; none if it never did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Milestones {
    /// Its ring was put into the mailbox.
    pub queued: Option<Timestamp>,
    /// Its ring was written to a connection.
    pub pushed: Option<Timestamp>,
    /// Its ringer had begun.
    pub rang: Option<Timestamp>,
    /// It was taken, it declined, or it was told to stop.
    pub ended: Option<Timestamp>,
    /// Its ringer had really stopped, or it never rang.
    pub silent: Option<Timestamp>,
}

impl Milestones {
    /// The milestone that is reached with a state; none is reached with a leg that is planned.
    pub fn reached(state: LegState, at: Timestamp) -> Self {
        let mut reached = Self::default();
        let milestone = match state {
            LegState::Planned | LegState::Offered => return reached,
            LegState::Queued => &mut reached.queued,
            LegState::Pushed => &mut reached.pushed,
            LegState::Rang => &mut reached.rang,
            LegState::Taken | LegState::Declined | LegState::Busy | LegState::Stopped => &mut reached.ended,
            LegState::StopConfirmed => &mut reached.silent,
        };
        *milestone = Some(at);
        reached
    }

    /// Both together; what was reached first counts.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self {
            queued: self.queued.or(later.queued),
            pushed: self.pushed.or(later.pushed),
            rang: self.rang.or(later.rang),
            ended: self.ended.or(later.ended),
            silent: self.silent.or(later.silent),
        }
    }
}

/// What is to be done later about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimerKind {
    /// Begin this wave.
    Wave(u16),
    /// The ring time of this user is over.
    RingEnd(u16),
    /// The router is asked how the ringing of this user goes on.
    Reroute(u16),
    /// A device of this user came late: the router is asked whether it rings too.
    Late(u16),
}

/// Something to be done later; claimed by any node, once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Timer {
    /// Of this session.
    pub session: SessionId,
    /// What to do.
    pub kind: TimerKind,
    /// When.
    pub due_at: Timestamp,
}
