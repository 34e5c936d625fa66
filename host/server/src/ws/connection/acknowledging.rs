//! What a client says that it has: the host forgets it.

use switchhook_protocol::{
    client::Ack,
    close::CloseCode,
    error::{ErrorBody, ErrorCode},
    server::ServerMessage,
};
use tracing::warn;

use super::Connection;
use crate::{causes::Causes, flows::FlowError, limits};

impl Connection {
    /// Stores how far the client is; what it says again costs nothing, nor does what is of a mailbox that is no more.
    pub(super) async fn acknowledge(&mut self, ack: Ack) -> Result<(), CloseCode> {
        if ack.epoch.is_some_and(|epoch| epoch != self.epoch) {
            return Ok(());
        }
        if ack.seq > self.sent
            && let Err(refused) = self.check_given_out(ack.seq).await
        {
            self.app.metrics.refused(refused.code);
            return self.socket.say(&ServerMessage::Error(refused)).await;
        }
        // What is still on its way to this client it may have from a connection before: that comes again.
        let upto = ack.seq.min(self.sent);
        if upto <= self.acknowledged {
            return Ok(());
        }
        let storage = self.app.storage.of(&self.caller.tenant);
        match storage.mailbox(&self.caller.device.id).acknowledge(upto).await {
            Ok(()) => self.acknowledged = upto,
            Err(trouble) => warn!(error = %Causes(&trouble), "an ack is not stored; it comes again"),
        }
        Ok(())
    }

    /// Only what the mailbox has given out can have arrived. Asking it costs as much as a request.
    async fn check_given_out(&mut self, seq: u64) -> Result<(), ErrorBody> {
        let now = self.app.now();
        let taken = self.requests.take(limits::REQUESTS_OF_SOCKET, now);
        taken.map_err(|wait| FlowError::too_often(wait).into_body("ack"))?;
        let storage = self.app.storage.of(&self.caller.tenant);
        let state = storage.mailbox(&self.caller.device.id).state(now).await;
        let state = state.map_err(|trouble| FlowError::from(trouble).into_body("ack"))?;
        if state.is_some_and(|state| seq <= state.last_seq) {
            return Ok(());
        }
        let message = format!("the mailbox has not given out {seq} yet");
        Err(ErrorBody { message, ..ErrorCode::Malformed.into() })
    }
}
