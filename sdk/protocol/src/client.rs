//! What a client says.

use alloc::{
    borrow::{Cow, ToOwned as _},
    boxed::Box,
    format,
    string::String,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    call::{Call, InvalidCall, Operation},
    device_key::{DeviceKey, KeyBytes},
    error::{ErrorBody, ErrorCode},
    id::{ApplicationId, DeviceId, Epoch, PushToken, RequestId},
    number::DialsFrom,
};

/// A message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// Store my device key; once.
    Enrol(Enrol),
    /// I am this device; first on each connection.
    Hello(Hello),
    /// Do this and answer.
    Request(RequestId, Operation),
    /// I have everything up to here.
    Ack(Ack),
    /// Pass this on, live or not at all.
    Signal(Signal),
    /// The same, of which only the last counts.
    Presence(Signal),
    /// Are you there?
    Ping,
}

/// Stores a device key, before the first `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrol {
    /// For which application.
    pub application: ApplicationId,
    /// The public half of the device's key.
    pub device_key: DeviceKey,
    /// Signature over [`Statement::Enrol`](crate::device_key::Statement::Enrol).
    pub proof: KeyBytes,
    /// What the device is: `phone`, `tablet`, `browser` or a word of the application's.
    pub device_kind: String,
}

/// Proves which device this is and opens its mailbox: one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Which device.
    pub device: DeviceId,
    /// Its present push token.
    pub push_token: PushToken,
    /// Signature over [`Statement::Hello`](crate::device_key::Statement::Hello).
    pub proof: KeyBytes,
    /// The last event that the application has; without it, the mailbox starts at its oldest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Where its user is (REG-10); without it, where they were at the last `hello` that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dials_from: Option<DialsFrom>,
}

/// A place in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The mailbox's incarnation.
    pub epoch: Epoch,
    /// The last sequence number that the application has; 0 for none.
    pub seq: u64,
}

/// Everything up to `seq` has reached the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The mailbox's incarnation that the number is of: one of another acknowledges nothing. Without it the number is of
    /// this connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The sequence number.
    pub seq: u64,
}

impl From<Cursor> for Ack {
    fn from(Cursor { epoch, seq }: Cursor) -> Self {
        Self { epoch: Some(epoch), seq }
    }
}

/// Candidates, SDP and the like, or how somebody is at the moment: live only, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The session ticket.
    pub ticket: String,
    /// The peer's alias.
    pub to: String,
    /// The application's, at most 16 KiB.
    pub data: serde_json::Value,
}

/// Why a frame is not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// Not of this protocol.
    NotOurs,
    /// Ours, but wrong: answer the request with this error.
    Invalid(Option<RequestId>, ErrorBody),
}

#[derive(Serialize, Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<RequestId>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    op: Option<Cow<'a, str>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
}

impl ClientMessage {
    /// Reads one text frame.
    pub fn decode(text: &str) -> Result<Self, Rejected> {
        let frame: Frame<'_> = serde_json::from_str(text).or(Err(Rejected::NotOurs))?;
        match &*frame.kind {
            "enrol" => flat(text).map(Self::Enrol),
            "hello" => flat(text).map(Self::Hello),
            "ack" => flat(text).map(Self::Ack),
            "signal" => flat(text).map(Self::Signal),
            "presence" => flat(text).map(Self::Presence),
            "ping" => Ok(Self::Ping),
            "request" => frame.operation(),
            _ => Err(Rejected::Invalid(frame.id, ErrorCode::Unsupported.into())),
        }
    }

    /// Writes one text frame of a request.
    pub fn request<C: Call>(id: &RequestId, call: &C) -> Result<String, serde_json::Error> {
        let body = serde_json::value::to_raw_value(call)?;
        let frame =
            Frame { kind: "request".into(), id: Some(id.clone()), op: Some(C::OP.into()), body: Some(&body) };
        serde_json::to_string(&frame)
    }

    /// Writes one text frame of a message that is no request.
    pub fn say(message: &Said<'_>) -> Result<String, serde_json::Error> {
        serde_json::to_string(message)
    }
}

/// A message that is no request, to be written.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Said<'a> {
    /// See [`ClientMessage::Enrol`].
    Enrol(&'a Enrol),
    /// See [`ClientMessage::Hello`].
    Hello(&'a Hello),
    /// See [`ClientMessage::Ack`].
    Ack(&'a Ack),
    /// See [`ClientMessage::Signal`].
    Signal(&'a Signal),
    /// See [`ClientMessage::Presence`].
    Presence(&'a Signal),
    /// See [`ClientMessage::Ping`].
    Ping,
}

impl Frame<'_> {
    fn operation(self) -> Result<ClientMessage, Rejected> {
        let Some(id) = self.id else {
            return Err(Rejected::Invalid(None, malformed("a request needs an id")));
        };
        let Some(op) = self.op else {
            return Err(Rejected::Invalid(Some(id), malformed("a request needs an op")));
        };
        let empty = RawValue::from_string("{}".to_owned());
        let empty: Option<Box<RawValue>> = empty.ok();
        let Some(body) = self.body.or(empty.as_deref()) else {
            return Err(Rejected::Invalid(Some(id), malformed("a request needs a body")));
        };
        match Operation::decode(&op, body) {
            Ok(operation) => Ok(ClientMessage::Request(id, operation)),
            Err(InvalidCall::Unsupported) => Err(Rejected::Invalid(Some(id), ErrorCode::Unsupported.into())),
            Err(InvalidCall::Malformed(why)) => Err(Rejected::Invalid(Some(id), malformed(&why))),
        }
    }
}

fn flat<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Rejected> {
    serde_json::from_str(text).map_err(|error| Rejected::Invalid(None, malformed(&format!("{error}"))))
}

fn malformed(why: &str) -> ErrorBody {
    ErrorBody { message: why.into(), ..ErrorCode::Malformed.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invitation::Cancel;

    #[test]
    fn a_request_survives_the_wire() {
        let cancel = Cancel { ticket: "t".into() };
        let text = ClientMessage::request(&"7".parse().unwrap(), &cancel).unwrap();
        assert_eq!(text, r#"{"type":"request","id":"7","op":"cancel","body":{"ticket":"t"}}"#);
        assert_eq!(
            ClientMessage::decode(&text),
            Ok(ClientMessage::Request("7".parse().unwrap(), Operation::Cancel(Box::new(cancel))))
        );
    }

    #[test]
    fn an_unknown_operation_is_answered_unsupported_and_unknown_fields_are_ignored() {
        let unknown = ClientMessage::decode(r#"{"type":"request","id":"1","op":"teleport","body":{}}"#);
        assert_eq!(
            unknown,
            Err(Rejected::Invalid(Some("1".parse().unwrap()), ErrorCode::Unsupported.into()))
        );
        let more = ClientMessage::decode(r#"{"type":"ack","seq":3,"later":true}"#);
        assert_eq!(more, Ok(ClientMessage::Ack(Ack { epoch: None, seq: 3 })));
    }

    #[test]
    fn what_is_not_of_this_protocol_is_told_apart_from_what_is_wrong() {
        assert_eq!(ClientMessage::decode("GET / HTTP/1.1"), Err(Rejected::NotOurs));
        let Err(Rejected::Invalid(Some(_), error)) =
            ClientMessage::decode(r#"{"type":"request","id":"1","op":"cancel","body":{}}"#)
        else {
            panic!("a cancel without ticket is wrong")
        };
        assert_eq!(error.code, ErrorCode::Malformed);
    }
}
