//! Frames of stored messages, put together from their stored JSON.

use serde::Deserialize;
use switchhook_core::row::StoredMessage;
use switchhook_protocol::{
    id::{Epoch, SessionId},
    time::{Timestamp, millis},
};

/// The frame of an event: its place in the mailbox, what is left of its time, then its own JSON.
pub(crate) fn event(message: &StoredMessage, epoch: &Epoch, now: Timestamp) -> String {
    let StoredMessage { seq, id, event, expires_at, delivered } = message;
    let left = millis(now.until(*expires_at));
    let event = event.strip_prefix('{').unwrap_or("}");
    format!(
        r#"{{"type":"event","seq":{seq},"epoch":"{epoch}","message_id":"{id}","redelivered":{delivered},"expires_in_ms":{left},{event}"#
    )
}

/// The session that a message rings for, if it is a ring.
pub(crate) fn rings_for(message: &StoredMessage) -> Option<SessionId> {
    #[derive(Deserialize)]
    struct Ring {
        body: Body,
    }
    #[derive(Deserialize)]
    struct Body {
        session: SessionId,
    }
    if !message.event.starts_with(r#"{"kind":"invite""#) {
        return None;
    }
    serde_json::from_str::<Ring>(&message.event).ok().map(|ring| ring.body.session)
}

#[cfg(test)]
mod tests {
    use switchhook_protocol::{
        event::{CancelRing, Event},
        invitation::StopReason,
        server::ServerMessage,
    };

    use super::*;

    #[test]
    fn a_stored_message_becomes_an_event_with_what_is_left_of_its_time() {
        let event =
            Event::Cancel(CancelRing { session: "s".parse().unwrap(), reason: StopReason::Cancelled });
        let message = StoredMessage {
            seq: 7,
            id: "m".parse().unwrap(),
            event: serde_json::to_string(&event).unwrap(),
            expires_at: Timestamp::from_millis(5_000),
            delivered: true,
        };
        let frame = super::event(&message, &"e".parse().unwrap(), Timestamp::from_millis(4_000));
        let Ok(Some(ServerMessage::Event(delivered))) = ServerMessage::decode(&frame) else {
            panic!("an event: {frame}")
        };
        assert_eq!((delivered.seq, delivered.redelivered), (7, true));
        assert_eq!(delivered.expires_in_ms, Some(1_000));
        assert_eq!(delivered.event, event);
    }
}
