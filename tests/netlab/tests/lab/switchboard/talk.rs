//! A call of the lab, both sides of it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use switchhook_client::{Client, Events, call::Call};
use tokio::{task::JoinSet, time::timeout};

use super::GUARD;

/// Both sides of a call, and what serves them.
pub(crate) struct Talk {
    pub(crate) calls: [Call; 2],
    pub(super) _clients: [(Client, Events); 2],
    pub(super) _serving: JoinSet<()>,
}

impl Talk {
    /// Sends from each side until the other has it: a datagram may be lost.
    pub(crate) async fn carries(&mut self) -> Result<()> {
        let [one, other] = &mut self.calls;
        carries(one, other).await?;
        carries(other, one).await
    }
}

async fn carries(from: &Call, to: &mut Call) -> Result<()> {
    const SAID: &[u8] = b"hello";
    let send = async {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        while from.send(SAID).is_ok() {
            again.tick().await;
        }
    };
    tokio::select! {
        heard = timeout(GUARD, to.recv()) => heard?.map(drop).context("the call is over"),
        () = send => bail!("the call is over"),
    }
}
