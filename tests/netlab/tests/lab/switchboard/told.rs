//! A call that both sides have been told of, before anything is sent between them.

use std::sync::Arc;

use anyhow::Result;
use switchhook_client::{
    Client, Events,
    call::{Call, CallFailed, Prepared, Side},
    network::Network,
};
use switchhook_protocol::invitation::Accepted;
use tokio::{task::JoinSet, time::timeout};

use super::{GUARD, Talk};

/// See the module.
pub(crate) struct Told {
    /// The inviter first.
    pub(crate) sides: [Beginning; 2],
    /// What serves both, as long as it is kept.
    pub(crate) clients: [(Client, Events); 2],
    pub(crate) serving: JoinSet<()>,
}

/// One side of it.
pub(crate) struct Beginning {
    pub(super) client: Client,
    pub(super) network: Arc<dyn Network>,
    pub(super) prepared: Prepared,
    pub(super) side: Side,
    pub(super) accepted: Accepted,
}

impl Beginning {
    /// Finds a path to the other side.
    pub(crate) async fn begin(self) -> Result<Call, CallFailed> {
        Box::pin(Call::start(&self.client, self.network, self.prepared, self.side, self.accepted)).await
    }
}

impl Told {
    /// Both begin.
    pub(super) async fn begin(self) -> Result<Talk> {
        let [caller, callee] = self.sides.map(Beginning::begin);
        let (caller, callee) = timeout(GUARD, async { tokio::join!(caller, callee) }).await?;
        Ok(Talk { calls: [caller?, callee?], _clients: self.clients, _serving: self.serving })
    }
}
