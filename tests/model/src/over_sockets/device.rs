//! A device with a connection of its own.

use std::net::SocketAddr;

use anyhow::Result;
use futures_util::FutureExt as _;
use switchhook_client::{CallError, Client, ClientEvent, Events};
use switchhook_protocol::{
    call::Operation,
    device_key::{KeyBytes, Statement},
    event::Event,
    id::DeviceId,
    invitation::Accepted,
    peer::SessionKey,
};
use switchhook_server::DEFAULT_TENANT;
use switchhook_tests::{
    front::Front,
    host::{Transit, client_settings},
    phone::Phone,
    waiting::{in_time, until},
};

use crate::people::Device;

/// A device's own.
pub(super) struct Person {
    pub(super) id: DeviceId,
    pub(super) client: Client,
    pub(super) session_key: SessionKey,
    /// What cuts its connection.
    pub(super) front: Front,
    events: Events,
}

impl Person {
    /// A new device, its identifier registered by SMS.
    pub(super) async fn register(device: Device, host: SocketAddr, transit: &Transit) -> Result<Self> {
        let front = Front::of(host).await?;
        let settings = client_settings(front.addr, DEFAULT_TENANT, device.kind)?;
        let mut phone = Phone::enrol(settings).await?;
        phone.register(&transit.carrier, &device.endpoint.parse()?).await?;
        let (settings, identity) = phone.leave().await;
        let public = KeyBytes(vec![7; 32]);
        let statement = Statement::SessionKey { tenant: &settings.tenant, public: &public.0 };
        let signature = identity.key.sign(&statement);
        let (id, session_key) = (identity.device.clone(), SessionKey { public, signature });
        let (client, events) = in_time("the connection", Client::connect(settings, identity)).await??;
        Ok(Self { id, client, session_key, front, events })
    }

    /// It has a connection, and everything that there was to hear.
    pub(super) async fn caught_up(&self) -> Result<()> {
        until("an answer", async || match self.client.sync().await {
            Ok(_) => Ok(Some(())),
            Err(CallError::ConnectionLost) => Ok(None),
            Err(other) => Err(other.into()),
        })
        .await
    }

    /// What it has heard since.
    pub(super) fn events(&mut self) -> Vec<Event> {
        let mut heard = vec![];
        while let Some(Some(event)) = self.events.next().now_or_never() {
            if let ClientEvent::Event(delivered) = event {
                heard.push(delivered.event);
            }
        }
        heard
    }
}

/// Asks as an application does; what an accept is answered with.
pub(super) async fn ask(client: &Client, operation: Operation) -> Result<Option<Accepted>, CallError> {
    match operation {
        Operation::Accept(it) => return client.accept(&it).await.map(Some),
        Operation::Ringing(it) => client.ringing(&it).await,
        Operation::Stopped(it) => client.stopped(&it).await,
        Operation::Decline(it) => client.decline(&it).await,
        Operation::Cancel(it) => client.cancel(&it).await,
        Operation::Take(it) => client.take(&it).await,
        Operation::SessionUpdate(it) => client.session_update(&it).await,
        Operation::End(it) => client.end(&it).await,
        other @ (Operation::RegisterBegin(_)
        | Operation::RegisterAnswer(_)
        | Operation::RegisterCode(_)
        | Operation::RegisterLink(_)
        | Operation::RegisterValidate(_)
        | Operation::RegisterList(_)
        | Operation::RegisterRevoke(_)
        | Operation::Invite(_)
        | Operation::InviteUpdate(_)
        | Operation::RelayRequest(_)
        | Operation::ConnectionDataChanged(_)
        | Operation::RelayUpdate(_)
        | Operation::PathReport(_)
        | Operation::Block(_)
        | Operation::Unblock(_)
        | Operation::Blocked(_)
        | Operation::SessionAsk(_)
        | Operation::SessionRefuse(_)
        | Operation::SessionRenew(_)
        | Operation::PushTokenRenew(_)
        | Operation::CompleteNumber(_)
        | Operation::Carriers(_)
        | Operation::Sync(_)) => unreachable!("the model does not ask for {}", other.op()),
    }
    .map(|_| None)
}
