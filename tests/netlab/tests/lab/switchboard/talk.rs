//! A call of the lab, both sides of it.

use std::time::Duration;

use anyhow::{Result, bail};
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
    // What was said before may still come in.
    let said = rand::random::<u64>().to_be_bytes();
    let hear = async {
        while let Some(heard) = to.recv().await {
            if heard == said {
                return Ok(());
            }
        }
        bail!("the call is over")
    };
    let send = async {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        while from.send(&said).is_ok() {
            again.tick().await;
        }
    };
    tokio::select! {
        heard = timeout(GUARD, hear) => heard?,
        () = send => bail!("the call is over"),
    }
}
