//! Who takes part in a session and is alive: marked by the node that holds its socket, taken out when
//! no node has for long.
//!
//! Each node looks at the participants that were not seen lately, all tenants together, the longest
//! unseen first: those whose device has its socket here it marks, all in one write; those that have
//! been unseen for the operator's time it takes out, as soon as it has run for so long itself: after a
//! standstill devices need time to come back. Several nodes may find the same one: the transaction
//! looks again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use switchhook_core::row::{Participant, Write};
use switchhook_protocol::{
    id::TenantId,
    time::{Timestamp, millis},
};
use switchhook_storage::StorageError;
use tokio::time;
use tracing::{error, info, warn};

use crate::{app::App, causes::Causes, flows::session, limits};

/// How often it looks within the time after which somebody is lost: three misses in a row take nobody out.
const LOOKS: u32 = 4;

/// Marks and takes out until told to stop.
pub(crate) async fn work(app: Arc<App>) {
    let started = app.now();
    let pace = pace(&app);
    loop {
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            () = time::sleep(pace) => {}
        }
        let may_lose = app.now() >= started.after(app.lost_after);
        if let Err(trouble) = look(&app, may_lose).await {
            error!(error = %Causes(&trouble), "participants are not marked as seen");
        }
    }
}

/// Marks who is here and, if it may, takes out who has been unseen for too long.
pub(crate) async fn look(app: &App, may_lose: bool) -> Result<(), StorageError> {
    let pace = pace(app);
    let now = app.now();
    let since = Timestamp::from_millis(now.as_millis().saturating_sub(millis(pace)));
    let unseen = app.storage.unseen(since, limits::UNSEEN).await?;
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        unseen.into_iter().partition(|(tenant, it)| app.online.has(&(tenant.clone(), it.device.clone())));
    mark(app, here, now).await?;
    for (tenant, lost) in
        elsewhere.into_iter().filter(|(_, it)| may_lose && now >= it.seen_at.after(app.lost_after))
    {
        let (session, device) = (lost.session.clone(), lost.device.clone());
        match session::lose(app, &tenant, lost).await {
            Ok(false) => {}
            Ok(true) => {
                info!(tenant.id = %tenant, session.id = %session, device.id = %device, "a participant is lost");
            }
            Err(refused) => {
                warn!(tenant.id = %tenant, session.id = %session, %refused, "cannot be taken out");
            }
        }
    }
    Ok(())
}

fn pace(app: &App) -> Duration {
    app.lost_after / LOOKS
}

async fn mark(app: &App, here: Vec<(TenantId, Participant)>, at: Timestamp) -> Result<(), StorageError> {
    let mut writes = BTreeMap::<TenantId, Vec<Write>>::new();
    for (tenant, Participant { session, device, .. }) in here {
        writes.entry(tenant).or_default().push(Write::Seen { session, device, at });
    }
    for (tenant, writes) in writes {
        app.storage.of(&tenant).commit("seen", writes).await?;
    }
    Ok(())
}
