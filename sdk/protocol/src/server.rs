//! What a server says.

use alloc::{borrow::Cow, boxed::Box, string::String};
use core::{fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    carrier::CarrierBundle,
    device_key::KeyBytes,
    error::ErrorBody,
    event::Delivered,
    id::{DeviceId, Epoch, PushToken, RequestId, SessionId},
    registration::RegisterAgain,
};

/// A message of a server.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ServerMessage {
    /// First on each connection: sign this.
    Challenge(Challenge),
    /// The device key is stored.
    Enrolled(Enrolled),
    /// The device is known, its mailbox is open.
    Welcome(Welcome),
    /// Answers a request.
    Answer(Answer),
    /// A message of the mailbox.
    Event(Box<Delivered>),
    /// A live message of a peer.
    Signal(PeerSignal),
    /// How a peer is at the moment; what it said before counts no more.
    Presence(PeerSignal),
    /// A message that had no id to answer was wrong.
    Error(ErrorBody),
    /// I am here.
    Pong,
    /// I am about to close this connection.
    Leaving(Leaving),
}

impl ServerMessage {
    /// Reads one text frame; none if it is of a type that this version does not know.
    pub fn decode(text: &str) -> Result<Option<Self>, serde_json::Error> {
        let frame: Frame<'_> = serde_json::from_str(text)?;
        Ok(Some(match &*frame.kind {
            "challenge" => Self::Challenge(serde_json::from_str(text)?),
            "enrolled" => Self::Enrolled(serde_json::from_str(text)?),
            "welcome" => Self::Welcome(serde_json::from_str(text)?),
            "answer" => Self::Answer(serde_json::from_str(text)?),
            "event" => Self::Event(serde_json::from_str(text)?),
            "signal" => Self::Signal(serde_json::from_str(text)?),
            "presence" => Self::Presence(serde_json::from_str(text)?),
            "error" => Self::Error(serde_json::from_str(text)?),
            "pong" => Self::Pong,
            "leaving" => Self::Leaving(serde_json::from_str(text)?),
            _ => return Ok(None),
        }))
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

/// What the client's proofs are over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Random, of this connection.
    pub nonce: String,
}

/// What the host minted for a new device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// The device's id.
    pub device: DeviceId,
    /// Its first push token.
    pub push_token: PushToken,
    /// How long that counts, in milliseconds (REG-1).
    #[serde(default)]
    pub push_token_expires_in_ms: u64,
    /// Which number it texts to register (REG-15); none: the tenant has no bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carriers: Option<CarrierBundle>,
}

/// What the client had missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resumed {
    /// Everything after the cursor follows as events.
    Full,
    /// Some of what came after the cursor has expired; `sync`.
    Partial,
    /// The cursor is of another incarnation, or there was none; `sync`.
    None,
}

/// The connection's entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// What the client had missed.
    pub resumed: Resumed,
    /// The mailbox's incarnation.
    pub epoch: Epoch,
    /// How often the server pings, in milliseconds; silent for twice as long, the connection is lost.
    pub ping_ms: u64,
    /// Where CDX answers: two ports, of each family of addresses that it has.
    pub cdx: CdxAddresses,
    /// With it the client's own exchange with CDX is encrypted (NAT-2); without it, it asks as standard STUN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cdx_key: Option<CdxKey>,
    /// When the tenant wants its clients to register again.
    #[serde(default)]
    pub register_again: RegisterAgain,
    /// How long the device's push token still counts, in milliseconds; 0: it is over, and is to be renewed (REG-1).
    #[serde(default)]
    pub push_token_expires_in_ms: u64,
}

/// The two ports of CDX; a mapping is judged by what both see (NAT-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdxAddresses {
    /// One port.
    pub primary: SocketAddr,
    /// The other.
    pub secondary: SocketAddr,
    /// Both ports of an address of the other family (IPv6 where those are IPv4), if CDX has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_family: Option<CdxPorts>,
}

/// Both ports of one address of CDX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdxPorts {
    /// One port.
    pub primary: SocketAddr,
    /// The other.
    pub secondary: SocketAddr,
}

/// A connection key, and what CDX finds it by ([`own`](crate::cdx::own)).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdxKey {
    /// Only CDX opens it: key id, then the key and whose it is; base64url without padding.
    pub handle: String,
    /// 32 bytes, base64url without padding. Of this client alone.
    pub key: KeyBytes,
    /// How long CDX takes the handle, in milliseconds. The next connection brings another.
    pub expires_in_ms: u64,
}

impl fmt::Debug for CdxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CdxKey").field("expires_in_ms", &self.expires_in_ms).finish_non_exhaustive()
    }
}

/// Answers the request with this id: either `ok` or `error`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// Of the request.
    pub id: RequestId,
    /// The operation's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Box<RawValue>>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

impl Answer {
    /// Says what came of the request.
    pub fn new(id: RequestId, done: Result<Box<RawValue>, ErrorBody>) -> Self {
        match done {
            Ok(ok) => Self { id, ok: Some(ok), error: None },
            Err(body) => Self { id, ok: None, error: Some(body) },
        }
    }
}

/// A live message of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSignal {
    /// The session.
    pub session: SessionId,
    /// The sender's alias.
    pub from: String,
    /// The application's.
    pub data: serde_json::Value,
}

/// The server drains; close code [`GoingAway`](crate::close::CloseCode::GoingAway) follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// A server of the same installation that stays: `wss://` or `ws://`, name and port, without path. Whoever does
    /// not reach it goes where it first went.
    pub next: String,
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::{
        event::{CancelRing, Event},
        invitation::StopReason,
    };

    #[test]
    fn an_event_survives_the_wire_with_its_place_in_the_mailbox() {
        let delivered = Delivered {
            seq: 4,
            epoch: "e".parse().unwrap(),
            message_id: "m".parse().unwrap(),
            redelivered: false,
            expires_in_ms: Some(20),
            event: Event::Cancel(CancelRing {
                session: "s".parse().unwrap(),
                reason: StopReason::AnsweredElsewhere,
            }),
        };
        let text = serde_json::to_string(&ServerMessage::Event(Box::new(delivered.clone()))).unwrap();
        assert!(
            text.contains(r#""kind":"cancel","body":{"session":"s","reason":"answered-elsewhere"}"#),
            "{text}"
        );
        let Ok(Some(ServerMessage::Event(read))) = ServerMessage::decode(&text) else {
            panic!("an event is an event")
        };
        assert_eq!(*read, delivered);
    }

    #[test]
    fn an_answer_keeps_the_operations_own_json() {
        let text = r#"{"type":"answer","id":"7","ok":{"x":[1, 2]}}"#;
        let Ok(Some(ServerMessage::Answer(answer))) = ServerMessage::decode(text) else {
            panic!("an answer is an answer")
        };
        assert_eq!(answer.ok.map(|ok| ok.to_string()).as_deref(), Some(r#"{"x":[1, 2]}"#));
    }

    #[test]
    fn a_type_of_a_later_version_is_passed_over() {
        assert!(ServerMessage::decode(r#"{"type":"confetti"}"#).unwrap().is_none());
    }
}
