//! A device of the lab, at the host beside it.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use switchhook_client::{
    Client, Events, call::Prepared, fake::FakeConnection, identity::DeviceKey, network::Network,
};
use switchhook_core::{network::NetworkFacts, policy::nat::Party};
use switchhook_protocol::{
    connection_data::ConnectionData,
    id::{DeviceId, SessionId},
    invitation::Accepted,
    peer::{Path, Peer},
};

use super::{NOW, Place, Switchboard};

const MEDIA_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A device that has come in.
pub(crate) struct Visitor {
    pub(crate) client: Client,
    pub(crate) network: Arc<dyn Network>,
    events: Events,
    connection: FakeConnection,
}

/// A device that is ready to call, or to be called.
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
    pub(crate) async fn visitor(&self, place: Place) -> Result<Visitor> {
        let _alone = self.door.lock().await;
        let key = DeviceKey::generate(&mut rand::rng());
        let identity = Client::enrol(&self.fake.settings(), key).await?;
        let (client, events) = Client::connect(self.fake.settings(), identity).await?;
        let connection = self.fake.connection_of(&client.identity().device).await.context("a connection")?;
        Ok(Visitor { client, network: Arc::new(place), events, connection })
    }

    /// It gets ready.
    pub(super) async fn device(&self, visitor: Visitor) -> Result<Device> {
        let Visitor { client, network, events, connection } = visitor;
        let prepared = Prepared::new(&client, &*network).await?;
        let facts = self.facts(prepared.connection_data())?;
        Ok(Device { client, events, connection, network, prepared, facts })
    }

    /// What the NAT policy is told of a device with this connection data.
    pub(crate) fn party(&self, data: &ConnectionData) -> Result<Party> {
        Ok(self.facts(data)?.party(&self.keys))
    }

    /// What the host makes of connection data.
    fn facts(&self, data: &ConnectionData) -> Result<NetworkFacts> {
        NetworkFacts::read(data, &self.keys, NOW).ok().context("the observations of CDX")
    }
}
