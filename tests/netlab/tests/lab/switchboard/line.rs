//! What the host does for both sides of a call while it runs: it knows where they are, and tells each of the other.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use switchhook_client::fake::FakeConnection;
use switchhook_core::{exchange::between, network::NetworkFacts, seal::KeyRing};
use switchhook_protocol::{
    call::{Done, Operation},
    connection_data::ConnectionData,
    error::ErrorCode,
    event::{Event, PeerRelayed, RelayGiven},
    exchange::{ConnectionDataTaken, Exchange, PeerElsewhere},
    id::{DeviceId, RequestId, SessionId},
    relay::{RelayCredentials, RelayResponse},
};
use tokio::sync::mpsc;

use super::{NOW, relay::LabRelay};

/// Who is where.
pub(super) struct Known {
    pub(super) session: SessionId,
    pub(super) keys: KeyRing,
    pub(super) relay: Option<Arc<LabRelay>>,
    pub(super) facts: Mutex<HashMap<DeviceId, NetworkFacts>>,
}

impl Known {
    fn set(&self, device: DeviceId, facts: NetworkFacts) {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).insert(device, facts);
    }

    fn of(&self, device: &DeviceId) -> Option<NetworkFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).get(device).cloned()
    }
}

/// One side's connection.
pub(super) struct Line {
    pub(super) known: Arc<Known>,
    pub(super) own: DeviceId,
    pub(super) peer: DeviceId,
}

impl Line {
    pub(super) async fn serve(
        self,
        mut connection: FakeConnection,
        to_other: mpsc::Sender<Event>,
        mut events: mpsc::Receiver<Event>,
    ) {
        let mut seq = 0;
        loop {
            let served = tokio::select! {
                Some(event) = events.recv() => {
                    seq += 1;
                    connection.deliver(seq, event, None).await
                }
                request = connection.next_request() => {
                    let Some((id, operation)) = request else { return };
                    self.answer(&mut connection, &id, operation, &to_other).await
                }
            };
            if served.is_err() {
                return;
            }
        }
    }

    async fn answer(
        &self,
        connection: &mut FakeConnection,
        id: &RequestId,
        operation: Operation,
        to_other: &mpsc::Sender<Event>,
    ) -> io::Result<()> {
        let session = self.known.session.clone();
        // The other side may have ended its call, wherever it is told something.
        if let Operation::RelayRequest(_) = operation {
            let Some([own, peers]) = self.relay() else {
                return connection.refuse(id, ErrorCode::NoRelay).await;
            };
            _ = to_other.send(Event::RelayResponse(RelayGiven { session, relay: peers })).await;
            connection.answer(id, &RelayResponse { relay: own }).await
        } else if let Operation::RelayUpdate(update) = operation {
            let relayed = PeerRelayed {
                session,
                alias: "alias".into(),
                relayed: update.relayed,
                observed: Some(update.observed),
            };
            _ = to_other.send(Event::RelayUpdate(relayed)).await;
            connection.answer(id, &Done {}).await
        } else if let Operation::ConnectionDataChanged(change) = operation {
            let (exchange, told) = self.moved(&change.connection_data);
            _ = to_other.send(Event::ConnectionData(told)).await;
            connection.answer(id, &ConnectionDataTaken { exchange }).await
        } else {
            connection.answer(id, &Done {}).await
        }
    }

    /// Credentials of both sides, if there is a relay.
    fn relay(&self) -> Option<[RelayCredentials; 2]> {
        let of = |device| self.known.relay.as_ref()?.credentials(&self.known.session, device).ok();
        Some([of(&self.own)?, of(&self.peer)?])
    }

    /// For this side, and for the other one.
    fn moved(&self, data: &ConnectionData) -> (Option<Exchange>, PeerElsewhere) {
        let facts = NetworkFacts::read(data, &self.known.keys, NOW).ok();
        let candidates = facts.as_ref().map(NetworkFacts::candidates).unwrap_or_default();
        let exchanges = facts.zip(self.known.of(&self.peer)).and_then(|(own, peer)| {
            self.known.set(self.own.clone(), own.clone());
            let sides = [(&self.own, &own), (&self.peer, &peer)];
            between((&self.known.session, 1), sides, (&self.known.keys, NOW), &mut rand::rng())
        });
        let [own, peers] = exchanges.map_or([None, None], |both| both.map(Some));
        (
            own,
            PeerElsewhere {
                session: self.known.session.clone(),
                alias: "alias".into(),
                candidates,
                exchange: peers,
            },
        )
    }
}
