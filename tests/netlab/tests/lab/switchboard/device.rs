//! A device of the lab, at the host beside it.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use switchhook_client::{
    Client, Events, call::Prepared, fake::FakeConnection, identity::DeviceKey, network::Network,
};
use switchhook_core::network::NetworkFacts;
use switchhook_protocol::{
    id::{DeviceId, SessionId},
    invitation::Accepted,
    peer::{Path, Peer},
};

use super::{NOW, Place, Switchboard};

const MEDIA_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A device that has come in.
pub(super) struct Device {
    pub(super) client: Client,
    pub(super) events: Events,
    pub(super) connection: FakeConnection,
    pub(super) network: Arc<dyn Network>,
    pub(super) prepared: Prepared,
    pub(super) facts: NetworkFacts,
}

impl Device {
    pub(super) fn id(&self) -> &DeviceId {
        &self.client.identity().device
    }

    /// What the other side is told of it.
    pub(super) fn accepted(&self, session: &SessionId, path: Path) -> Accepted {
        Accepted {
            session: session.clone(),
            ticket: "ticket".into(),
            peer: Peer {
                alias: "alias".into(),
                endpoint: "+15550100".parse().unwrap_or_else(|_| unreachable!("a number")),
                device_key: self.client.identity().key.public(),
                session_key: self.prepared.session_key().clone(),
            },
            path,
            media_key: MEDIA_KEY.into(),
            retry: false,
            awaits_take: false,
        }
    }
}

impl Switchboard {
    /// A device comes in from there.
    pub(super) async fn device(&self, place: Place) -> Result<Device> {
        let (client, events, connection) = {
            let _alone = self.door.lock().await;
            let key = DeviceKey::generate(&mut rand::rng());
            let identity = Client::enrol(&self.fake.settings(), key).await?;
            let (client, events) = Client::connect(self.fake.settings(), identity).await?;
            let connection =
                self.fake.connection_of(&client.identity().device).await.context("a connection")?;
            (client, events, connection)
        };
        let network: Arc<dyn Network> = Arc::new(place);
        let prepared = Prepared::new(&client, &*network).await?;
        let read = NetworkFacts::read(prepared.connection_data(), &self.keys, NOW);
        let facts = read.ok().context("the observations of CDX")?;
        Ok(Device { client, events, connection, network, prepared, facts })
    }
}
