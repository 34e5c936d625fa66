//! A node without sockets and workers, for tests that choose every step and its time themselves.
//!
//! App, flows, storage and the rules for plugins are those of a [`Server`], whose ports are bound and not served. Instead of
//! a socket there is [`Node::perform`], instead of each worker its one step. A future of this that is
//! dropped is a node that died on the way.

use std::sync::Arc;

use serde_json::value::RawValue;
use switchhook_core::{policy::Description, row::Device};
use switchhook_plugin_runtime::{ActivePlugin, Compiled, Digest, Slot, Transport};
use switchhook_protocol::{
    call::Operation,
    error::ErrorBody,
    id::{DeviceId, TenantId},
    time::Timestamp,
};
use switchhook_storage::{Storage, StorageError};

use crate::{
    Server, Settings, StartError,
    flows::{Caller, perform},
    online::Seat,
    presence, timers,
};

/// A node without sockets.
#[derive(Debug)]
pub struct Node(Server);

/// A device is connected to the node, until this is dropped.
pub struct Here(#[expect(dead_code, reason = "it is held")] Seat);

impl std::fmt::Debug for Here {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Here")
    }
}

impl Node {
    /// A node on these settings, at this time.
    pub async fn start(settings: &Settings, clock: fn() -> Timestamp) -> Result<Self, StartError> {
        Ok(Self(Box::pin(Server::prepare(settings, clock)).await?.0))
    }

    /// Lets go of everything; what was committed is there for the next.
    pub async fn die(self) {
        self.0.shutdown(std::future::ready(())).await;
    }

    /// What it stores.
    pub fn storage(&self) -> &Storage {
        &self.0.app().storage
    }

    /// From now on this routes the invites of a tenant.
    pub fn route_by(&self, tenant: &TenantId, router: Arc<dyn Transport>) -> Result<(), StartError> {
        let refused = |why: &dyn std::fmt::Display| StartError::Setup(why.to_string());
        let description = Description {
            name: "in-process".to_owned(),
            version: "1".to_owned(),
            summary: String::new(),
            text_prefixes: Vec::new(),
        };
        let plugin = ActivePlugin {
            name: "in-process".parse().map_err(|wrong| refused(&wrong))?,
            version: 1,
            plugin: Compiled::webhook(Digest::of(&[]), description, Slot::InviteRouter, router),
            configuration: "{}".to_owned(),
        };
        self.0.app().plugins.activate(tenant, plugin).map_err(|wrong| refused(&wrong))
    }

    /// A device connects.
    pub async fn connect(&self, tenant: &TenantId, device: &DeviceId) -> Here {
        let app = self.0.app();
        Here(app.online.enter((tenant.clone(), device.clone()), app.now()).await)
    }

    /// What a device asks for on its connection. Ends in the middle where it is dropped, as with the node.
    pub async fn perform(
        &self,
        tenant: &TenantId,
        device: &Device,
        operation: Operation,
    ) -> Result<Box<RawValue>, ErrorBody> {
        let caller = Caller { tenant: tenant.clone(), device: device.clone(), from: None };
        let op = operation.op();
        perform::flow(self.0.app(), &caller, operation).await.map_err(|refused| refused.into_body(op))
    }

    /// What the timer worker does at each look.
    pub async fn fire_due(&self) -> Result<(), StorageError> {
        timers::fire_due(self.0.app()).await
    }

    /// What the presence worker does at each look.
    pub async fn take_out_lost(&self) -> Result<(), StorageError> {
        presence::look(self.0.app(), true).await
    }
}
