//! How an entry goes on: once, from where it may be.

use switchhook_core::row::OutboxState;
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{GatewayId, MessageId},
    time::Timestamp,
};
use switchhook_storage::{StorageError, Transaction};

/// Where an entry goes on to, and from where it may.
#[derive(Debug, Clone)]
pub(crate) struct Onward {
    /// It is in one of these states.
    from: &'static [OutboxState],
    to: OutboxState,
    /// A text that arrived there, which counts for its gateway.
    arrived: Option<(GatewayId, EndpointId)>,
}

impl Onward {
    /// To this state.
    pub(crate) const fn to(to: OutboxState, from: &'static [OutboxState]) -> Self {
        Self { from, to, arrived: None }
    }

    /// It is a text to this number, of which this gateway says that it has arrived.
    pub(crate) fn arrived(self, number: EndpointId, by: GatewayId) -> Self {
        Self { arrived: Some((by, number)), ..self }
    }

    /// Moves the entry; false if it is in none of the states that it goes on from.
    pub(crate) async fn go(
        &self,
        tx: &mut Transaction<'_>,
        entry: &MessageId,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let moved = tx.move_outbox(entry, self.from, self.to).await?;
        if let (true, Some((by, number))) = (moved, &self.arrived) {
            tx.count_delivery(by, number, now).await?;
        }
        Ok(moved)
    }
}
