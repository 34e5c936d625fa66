//! What is stored: the rows that decisions read, and the writes that they lead to.
//!
//! No state belongs to a connection or a process (INV-11). What is fixed about a session travels in
//! tickets; what changes is here, and any node takes it up. A flow commits the writes of one
//! decision in one transaction; what the outside is to see of them is performed afterwards.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    device_key::DeviceKey,
    endpoint::EndpointId,
    id::{ApplicationId, AttemptId, DeviceId, Epoch, GatewayId, MessageId, MethodName, SessionId},
    invitation::TakeMode,
    time::Timestamp,
};

use crate::policy::Slot;

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
    /// What the session's routing goes on with.
    SetRouting {
        /// Of this session.
        session: SessionId,
        /// Sealed.
        routing: Option<String>,
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
    /// Do this later.
    Arm(Timer),
    /// Do no more of this session later.
    Disarm(SessionId),
    /// Perform this after the commit.
    Enqueue(OutboxEntry),
}

/// One durable message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Whose mailbox.
    pub device: DeviceId,
    /// The same on every delivery and channel.
    pub id: MessageId,
    /// `{"kind":…,"body":…}`, an [`Event`](switchhook_protocol::event::Event) as JSON.
    pub event: String,
    /// After this it does not count.
    pub expires_at: Timestamp,
    /// A later message with the same key takes the place of an earlier one that is not delivered.
    pub collapse_key: Option<String>,
}

/// A message with its place in the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Position, from 1.
    pub seq: u64,
    /// The same on every delivery and channel.
    pub id: MessageId,
    /// `{"kind":…,"body":…}`.
    pub event: String,
    /// After this it does not count.
    pub expires_at: Timestamp,
    /// It was sent on a connection before.
    pub delivered: bool,
}

/// Where a mailbox stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxState {
    /// Its incarnation.
    pub epoch: Epoch,
    /// The last sequence number given out.
    pub last_seq: u64,
    /// The highest sequence number of a message that expired or collapsed before it was acknowledged.
    pub lost_seq: u64,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its application.
    pub application: ApplicationId,
    /// What it is: `phone`, `tablet` …
    pub kind: String,
    /// Its key.
    pub key: DeviceKey,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
}

/// A proven association of an identifier and a device (REG-11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// For which application.
    pub application: ApplicationId,
    /// What the person is reached by.
    pub endpoint: EndpointId,
    /// Which device.
    pub device: DeviceId,
    /// How it was proven.
    pub method: MethodName,
    /// When.
    pub registered_at: Timestamp,
}

/// A device that can be rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The identifier that reaches it.
    pub endpoint: EndpointId,
    /// Which device.
    pub device: DeviceId,
    /// What it is: `phone`, `tablet` …
    pub kind: String,
}

/// A registration under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Its method.
    pub method: MethodName,
    /// The method's key for it; unique within the method.
    pub key: String,
    /// The device that it is for.
    pub device: DeviceId,
    /// The version of the method that it asks, stamped by its first step; 0 before that.
    pub plugin_version: u32,
    /// The plugin's state, sealed; none before the first step.
    pub state: Option<Vec<u8>>,
    /// Counts its commits; a commit names the one it read.
    pub version: u64,
    /// It is forgotten after this.
    pub expires_at: Timestamp,
    /// It has finished.
    pub finished: bool,
}

/// What a secret of the host proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// A signature over number, push token, device id and random number (REG-3).
    Signature,
    /// A short code (REG-5).
    Code,
}

/// What the host remembers of a secret that it made, to check it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Finds the record: the signature's random number, or the attempt's id.
    pub id: String,
    /// What it proves.
    pub kind: SecretKind,
    /// The attempt that it belongs to.
    pub attempt: AttemptId,
    /// What it was sent to.
    pub endpoint: EndpointId,
    /// The device that it is for.
    pub device: DeviceId,
    /// Key that made it.
    pub key_id: [u8; 4],
    /// Keyed hash of it.
    pub digest: Vec<u8>,
    /// How many more wrong tries it bears.
    pub tries_left: u8,
    /// It cannot be used after this.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

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
    /// What its routing goes on with, sealed; none if nothing goes on.
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

impl LegState {
    /// Whether its device rings or will.
    pub const fn may_ring(self) -> bool {
        match self {
            Self::Planned | Self::Queued | Self::Pushed | Self::Rang | Self::Offered => true,
            Self::Taken | Self::Declined | Self::Busy | Self::Stopped | Self::StopConfirmed => false,
        }
    }
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
    /// Its wave.
    pub wave: u8,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimerKind {
    /// Begin this wave.
    Wave(u8),
    /// The ring time of this user is over.
    RingEnd(u16),
    /// The router is asked how the ringing of this user goes on.
    Reroute(u16),
}

/// Something to be done later; claimed by any node, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Of this session.
    pub session: SessionId,
    /// What to do.
    pub kind: TimerKind,
    /// When.
    pub due_at: Timestamp,
}

/// How far an outside effect is. SMS: at most once, with an in-doubt state (DESIGN §2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutboxState {
    /// Waits.
    Queued,
    /// Somebody is about to perform it, or was when the process died.
    Performing,
    /// Performed.
    Sent,
    /// Refused by the other side.
    Failed,
    /// Nobody knows; reported, performed again only on request.
    InDoubt,
}

/// What an effect on the outside is, and so what is promised of it (DESIGN §2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutboxKind {
    /// A text: at most once.
    Text,
    /// A request to the tenant's own service: at least once, each time with the entry's id as its
    /// idempotency key.
    Fetch,
}

/// An effect on the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its id; the other side sees it too.
    pub id: MessageId,
    /// What it is.
    pub kind: OutboxKind,
    /// Whose effect it is.
    pub attempt: AttemptId,
    /// The gateway that the attempt's texts go out by, if it has one.
    pub gateway: Option<GatewayId>,
    /// What to send, sealed.
    pub payload: Vec<u8>,
    /// How far it is.
    pub state: OutboxState,
    /// When it was queued.
    pub queued_at: Timestamp,
}

/// A configured SMS transit of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its name.
    pub id: GatewayId,
    /// The number or short code that devices text to.
    pub number: String,
    /// Where the host asks it to send a text.
    pub send_url: String,
    /// The shared secret of both directions' signatures, sealed.
    pub secret: Vec<u8>,
}

/// What a transit's message was answered with; a repeat gets the same (REG-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitAnswer {
    /// The gateway.
    pub gateway: GatewayId,
    /// The gateway's id of the message.
    pub message: String,
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    /// HTTP status of the answer.
    pub status: u16,
    /// Body of the answer.
    pub answer: String,
    /// When.
    pub at: Timestamp,
}

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginVersion {
    /// What it decides.
    pub slot: Slot,
    /// Its name within the slot.
    pub name: String,
    /// Counts its uploads, from 1.
    pub version: u32,
    /// SHA-256 of its component, or of its webhook's description.
    pub digest: [u8; 32],
    /// Of the component, in bytes.
    pub size: u64,
    /// A webhook's address and secret, sealed; none for a component.
    pub webhook: Option<Vec<u8>>,
    /// When.
    pub uploaded_at: Timestamp,
    /// By whom: a token's label.
    pub uploaded_by: String,
    /// What the host found, as JSON.
    pub report: String,
    /// Whether it is asked.
    pub state: VersionState,
    /// When it was activated last, as a count of the tenant's activations; 0: never.
    pub activated: u64,
    /// The tenant's configuration, as the plugin wants it.
    pub configuration: String,
}

/// Whether a version is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionState {
    /// Nobody asks it.
    Inactive,
    /// New sessions and attempts ask it.
    Active,
    /// Only attempts that began with it ask it.
    Draining,
    /// It was taken back; attempts that began with it get the declared default.
    Killed,
}
