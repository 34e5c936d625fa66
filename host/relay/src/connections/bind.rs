//! The `ConnectionBind` request (RFC 6062 §5.4): a stream of the client's asks to be joined with a connection that waits.
//!
//! The stream's own task answers it, and not a shard: it needs nothing of the allocation, and what follows it on the stream
//! is no message any more.

use switchhook_core::stun::Message;
use tokio::time::Instant;

use super::pending::PeerConnection;
use crate::{
    answer::Answer,
    clients::Stream,
    gate::Visitor,
    host::Host,
    refusal::Refusal,
    request::connection,
    wire::{message_type, must_refuse},
};

/// Whether a message of a stream asks for that.
pub(crate) fn is_connection_bind(message: &[u8]) -> bool {
    message.first_chunk() == Some(&message_type::CONNECTION_BIND.to_be_bytes())
}

impl Host {
    /// Answers a stream's request; with what it is joined, if that is granted.
    pub(crate) fn bind_connection(&self, stream: &Stream, bytes: &[u8]) -> Option<PeerConnection> {
        let request = Message::parse(bytes).ok()?;
        let (mut out, now) = (Vec::new(), Instant::now());
        let visitor = match self.authenticate(&request, stream.from, (self.clock)()) {
            Ok(visitor) => visitor,
            Err(refusal) => {
                if self.turn_away(&mut out, &request, (stream.from, now), refusal) {
                    stream.answer(&out);
                }
                return None;
            }
        };
        match self.waiting_for(&request, &visitor, now) {
            Ok(connection) => {
                Answer::Done.write(&mut out, &request, &visitor);
                // Who has no room for it has not read what it asked for before, and is not waited for.
                stream.answer_last(&out).then_some(connection)
            }
            Err(refusal) => {
                self.refuse(&mut out, &request, stream.from, (refusal, Some(&visitor)));
                stream.answer(&out);
                None
            }
        }
    }

    fn waiting_for(
        &self,
        request: &Message<'_>,
        visitor: &Visitor,
        now: Instant,
    ) -> Result<PeerConnection, Refusal> {
        if request.covered_attributes().any(|(kind, _)| must_refuse(kind)) {
            return Err(Refusal::UnknownAttribute);
        }
        let id = connection(request).ok_or(Refusal::BadRequest)?;
        self.connections.pending.take(id, &visitor.participant, now)
    }
}
