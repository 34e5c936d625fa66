//! Who holds an allocation of the relay still takes part in the session that it was given for (REL-3).
//!
//! The relay knows tokens alone, and these outlive a session. So each node asks the rows, of everybody that its
//! relay relays for, who takes part: soon after somebody has left here, and every few seconds for whoever left by
//! another node. Who takes part no more is sent away.

use std::{collections::BTreeSet, sync::Arc};

use switchhook_relay::{Participant, Relay};
use switchhook_storage::StorageError;
use tokio::time::{self, Interval, MissedTickBehavior};
use tracing::error;

use crate::{app::App, causes::Causes, limits};

/// Sends away until told to stop.
pub(crate) async fn work(app: Arc<App>, relay: Arc<Relay>) {
    let mut looks = time::interval(limits::LOOK_AT_RELAYED_AGAIN);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while app.stop.run_until_cancelled(due(&app, &mut looks)).await.is_some() {
        if let Err(trouble) = look(&app, &relay).await {
            error!(error = %Causes(&trouble), "nobody knows whether who is relayed still takes part");
        }
    }
}

/// Somebody has left here, or it is time for those elsewhere; and the last look is over for a while.
async fn due(app: &App, looks: &mut Interval) {
    looks.tick().await;
    // Who left by another node is not told of here.
    let _elsewhere = time::timeout(limits::LOOK_AT_RELAYED, app.left.notified()).await;
}

async fn look(app: &App, relay: &Relay) -> Result<(), StorageError> {
    for some in relay.participants().chunks(limits::RELAYED) {
        let keys: Vec<_> = some.iter().map(|it| (&it.tenant, &it.session, &it.device)).collect();
        let stay: BTreeSet<_> = app.storage.taking_part(&keys).await?.into_iter().collect();
        let left =
            |it: &&Participant| !stay.contains(&(it.tenant.clone(), it.session.clone(), it.device.clone()));
        for participant in some.iter().filter(left) {
            relay.send_away(participant).await;
        }
    }
    Ok(())
}
