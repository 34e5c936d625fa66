//! Requests with answers: which operation takes what, and gives what.

use alloc::{boxed::Box, string::String, vec::Vec};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    block::{Block, Blocked, BlockedList, Unblock},
    carrier::{Carriers, PresentCarriers},
    endpoint::EndpointId,
    exchange::{ConnectionDataChanged, ConnectionDataTaken},
    id::Epoch,
    invitation::{Accept, Accepted, Cancel, Decline, Invite, InviteStatus, Ringing, Stopped, Take},
    number::{CompleteNumber, CompletedNumber},
    push_token::{PushTokenRenew, PushTokenRenewed},
    registration::{
        RegisterAnswer, RegisterBegin, RegisterCode, RegisterLink, RegisterList, RegisterRevoke,
        RegisterValidate, RegistrationList, RegistrationProgress,
    },
    relay::{RelayRequest, RelayResponse, RelayUpdate},
    session::{
        End, InviteUpdate, RingingSession, RunningSession, SessionAsk, SessionAskPending, SessionRefuse,
        SessionRenew, SessionRenewed, SessionUpdate,
    },
};

/// A request of one operation and what answers it.
pub trait Call: Serialize + DeserializeOwned {
    /// The operation's word on the wire.
    const OP: &'static str;

    /// What a good answer holds.
    type Answer: Serialize + DeserializeOwned;
}

/// The answer of an operation that has nothing to tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// `sync`: what the host has for this device; asked after `resumed: partial` or `none`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {}

/// Answer to `sync`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The mailbox's incarnation.
    pub epoch: Epoch,
    /// The last sequence number given out; what is later arrives as events.
    pub seq: u64,
    /// The identifiers registered to this device.
    pub registrations: Vec<EndpointId>,
    /// What rings on this device.
    #[serde(default)]
    pub rings: Vec<RingingSession>,
    /// The running sessions of this device, and of its identifiers.
    #[serde(default)]
    pub sessions: Vec<RunningSession>,
}

/// `path-report`: which path worked, for policies that learn (NAT-3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathReport {
    /// The session ticket.
    pub ticket: String,
    /// What worked: `direct` or `relay`.
    pub path: PathKind,
    /// From verdict to the first authenticated datagram, in milliseconds.
    pub took_ms: u64,
}

/// Which kind of path worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// Peer to peer.
    Direct,
    /// Through a relay host.
    Relay,
}

/// An operation that this server does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidCall {
    /// Its word is unknown.
    Unsupported,
    /// Its body is not of the operation's form; the text says where.
    Malformed(String),
}

macro_rules! operations {
    ($($name:ident = $op:literal => $answer:ty;)*) => {
        $(impl Call for $name {
            const OP: &'static str = $op;
            type Answer = $answer;
        })*

        /// A request's operation with its body.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Operation {
            $(#[doc = concat!("`", $op, "`")] $name(Box<$name>),)*
        }

        impl Operation {
            /// Every operation's word, in the order of the published table.
            pub const OPS: &'static [&'static str] = &[$($op),*];

            /// Reads the body of an operation.
            pub fn decode(op: &str, body: &RawValue) -> Result<Self, InvalidCall> {
                match op {
                    $($op => serde_json::from_str(body.get())
                        .map(|body| Self::$name(Box::new(body)))
                        .map_err(|error| InvalidCall::Malformed(alloc::format!("{error}"))),)*
                    _ => Err(InvalidCall::Unsupported),
                }
            }

            /// The operation's word.
            pub const fn op(&self) -> &'static str {
                match self { $(Self::$name(_) => $op),* }
            }
        }
    };
}

operations! {
    RegisterBegin = "register.begin" => RegistrationProgress;
    RegisterAnswer = "register.answer" => RegistrationProgress;
    RegisterCode = "register.code" => RegistrationProgress;
    RegisterValidate = "register.validate" => RegistrationProgress;
    RegisterLink = "register.link" => RegistrationProgress;
    RegisterList = "register.list" => RegistrationList;
    RegisterRevoke = "register.revoke" => Done;
    Invite = "invite" => InviteStatus;
    Ringing = "ringing" => Done;
    Accept = "accept" => Accepted;
    Take = "take" => Done;
    Decline = "decline" => Done;
    Cancel = "cancel" => Done;
    Stopped = "stopped" => Done;
    InviteUpdate = "invite-update" => Done;
    SessionUpdate = "session-update" => Done;
    SessionAsk = "session-ask" => SessionAskPending;
    SessionRefuse = "session-refuse" => Done;
    SessionRenew = "session-renew" => SessionRenewed;
    End = "end" => Done;
    ConnectionDataChanged = "connection-data" => ConnectionDataTaken;
    RelayRequest = "relay.request" => RelayResponse;
    RelayUpdate = "relay.update" => Done;
    PathReport = "path-report" => Done;
    Block = "block" => Done;
    Unblock = "unblock" => Done;
    Blocked = "blocked" => BlockedList;
    PushTokenRenew = "push-token.renew" => PushTokenRenewed;
    CompleteNumber = "number.complete" => CompletedNumber;
    Carriers = "carriers" => PresentCarriers;
    Sync = "sync" => Snapshot;
}
