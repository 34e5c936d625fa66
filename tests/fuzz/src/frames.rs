//! What clients and servers say to each other, as text.

use std::{fmt::Debug, str};

use serde_json::value::RawValue;
use switchhook_protocol::{
    call::{InvalidCall, Operation},
    client::{ClientMessage, Rejected, Said},
    error::ErrorCode,
    server::ServerMessage,
};

/// A frame, read by a server and by a client. What is understood is written so that it is understood as the same; an
/// operation is one of the list, whichever way it came; and whoever is told what is wrong is told no more than he said.
pub fn frames(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    let by_server = by_server(text);
    let by_client = by_client(text);
    by_server || by_client
}

fn by_server(text: &str) -> bool {
    match ClientMessage::decode(text) {
        Ok(ClientMessage::Enrol(enrol)) => {
            is_said(&ClientMessage::Enrol(enrol.clone()), &Said::Enrol(&enrol));
        }
        Ok(ClientMessage::Hello(hello)) => {
            is_said(&ClientMessage::Hello(hello.clone()), &Said::Hello(&hello));
        }
        Ok(ClientMessage::Ack(ack)) => is_said(&ClientMessage::Ack(ack.clone()), &Said::Ack(&ack)),
        Ok(ClientMessage::Signal(signal)) => {
            is_said(&ClientMessage::Signal(signal.clone()), &Said::Signal(&signal));
        }
        Ok(ClientMessage::Presence(presence)) => {
            is_said(&ClientMessage::Presence(presence.clone()), &Said::Presence(&presence));
        }
        Ok(ClientMessage::Ping) => is_said(&ClientMessage::Ping, &Said::Ping),
        Ok(ClientMessage::Request(_, operation)) => {
            assert!(Operation::OPS.contains(&operation.op()), "{operation:?}");
            return is_operation(text, &operation);
        }
        Err(Rejected::NotOurs) => return false,
        Err(Rejected::Invalid(_, error)) => {
            assert!(matches!(error.code, ErrorCode::Malformed | ErrorCode::Unsupported), "{error:?}");
            assert!(error.message.len() <= 4 * text.len() + 512, "{error:?}");
            return false;
        }
    }
    true
}

fn is_said(read: &ClientMessage, said: &Said<'_>) {
    let written = ClientMessage::say(said).expect("what was read can be written");
    assert_eq!(ClientMessage::decode(&written).as_ref(), Ok(read), "{written}");
}

/// Requests over HTTP bring the body alone: it is the same operation.
fn is_operation(text: &str, operation: &Operation) -> bool {
    let frame: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).expect("a frame is an object");
    let Some(body) = frame.get("body") else { return true };
    let body = RawValue::from_string(body.to_string()).expect("JSON");
    match Operation::decode(operation.op(), &body) {
        Ok(again) => assert_eq!(again.op(), operation.op()),
        // A number that no double holds, or a field said twice, is another one on its way through a tree.
        Err(InvalidCall::Malformed(_)) => {}
        Err(InvalidCall::Unsupported) => panic!("{} is on the list", operation.op()),
    }
    true
}

fn by_client(text: &str) -> bool {
    let Ok(Some(message)) = ServerMessage::decode(text) else { return false };
    let written = serde_json::to_string(&message).expect("what was read can be written");
    let again = ServerMessage::decode(&written);
    let Ok(Some(again)) = again else { panic!("{again:?}: {written}") };
    assert_eq!(shown(&again), shown(&message), "{written}");
    true
}

fn shown(what: &impl Debug) -> String {
    format!("{what:?}")
}
