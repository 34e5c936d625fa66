//! What is stored: the rows that decisions read, and the writes that they lead to.
//!
//! No state belongs to a connection or a process (INV-11). What is fixed about a session travels in
//! tickets; what changes is here, and any node takes it up. A flow commits the writes of one
//! decision in one transaction; what the outside is to see of them is performed afterwards.

mod answer;
mod decision;
mod gateway;
mod mail_server;
mod mailbox;
mod node;
mod outbox;
mod plugin;
mod profile;
mod registration;
mod session;
mod validation;

use alloc::string::String;

use switchhook_protocol::{
    id::{DeviceId, SessionId},
    time::Timestamp,
};

pub use self::{
    answer::KeptAnswer,
    decision::{Decision, Forward, brief},
    gateway::{Gateway, Provider, SmppAccount, TextPart, TransitAnswer, TwilioAccount},
    mail_server::{MailServer, Security},
    mailbox::{MailboxState, Message, StoredMessage},
    node::Node,
    outbox::{OutboxEntry, OutboxKind, OutboxState},
    plugin::{PluginVersion, VersionState},
    profile::{AddressOfDevice, Deadline, IssuedCredentials, Profile, User, UserState},
    registration::{Attempt, Device, Registration, Secret, SecretKind, Target},
    session::{
        Invitation, InvitationState, Leg, LegState, Milestones, Participant, Session, Timer, TimerKind,
    },
    validation::{Progress, Validation},
};

/// One change of a transaction that is made whatever else is stored.
///
/// These are the hot kinds; the writer makes many of one kind in one statement. Changes that depend
/// on what is stored (take, validate) read it in their own transaction first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Put a message into a device's mailbox.
    Append(Message),
    /// Open a session.
    OpenSession(Session),
    /// Open an invited user's invitation.
    OpenInvitation(Invitation),
    /// Open one device's leg, or anew if the device is rung again.
    OpenLeg(Leg),
    /// Move an invitation on.
    SetInvitation {
        /// Of this session.
        session: SessionId,
        /// Of this user.
        user: u16,
        /// To this state.
        state: InvitationState,
        /// Taken by this device.
        taken_by: Option<DeviceId>,
    },
    /// Move a leg on.
    SetLeg {
        /// Of this session.
        session: SessionId,
        /// Of this device.
        device: DeviceId,
        /// To this state.
        state: LegState,
        /// When.
        at: Timestamp,
    },
    /// A device takes part from now on; nothing, if it does.
    Join(Participant),
    /// A device takes part no more.
    Leave {
        /// Of this session.
        session: SessionId,
        /// Which device.
        device: DeviceId,
    },
    /// A device that takes part is alive.
    Seen {
        /// In this session.
        session: SessionId,
        /// Which device.
        device: DeviceId,
        /// When.
        at: Timestamp,
    },
    /// Who takes part has changed.
    SetGeneration {
        /// Of this session.
        session: SessionId,
        /// To this one.
        generation: u32,
    },
    /// How a user's ringing goes on.
    SetCourse {
        /// Of this session.
        session: SessionId,
        /// Of this user.
        user: u16,
        /// Sealed.
        course: Option<String>,
    },
    /// A user's ringing goes on.
    RingUntil {
        /// Of this session.
        session: SessionId,
        /// Of this user.
        user: u16,
        /// Until then.
        until: Timestamp,
    },
    /// A user's ringing went on to somebody else; nothing, if it had before.
    Forward(Forward),
    /// This was decided about a session; nothing, if more is known than is kept.
    Decide {
        /// About this session.
        session: SessionId,
        /// What.
        decision: Decision,
    },
    /// Do this later.
    Arm(Timer),
    /// Do no more of this session later.
    Disarm(SessionId),
    /// A repeat of the request gets this answer. That the key has one already fails the transaction.
    Keep(KeptAnswer),
    /// Perform this after the commit.
    Enqueue(OutboxEntry),
}
