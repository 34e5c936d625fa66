//! The outbox worker: performs what was committed, after it was committed (DESIGN §2.8).
//!
//! An entry is claimed (committed as *performing*) and performed: [`texts`] at most once, [`fetches`]
//! at least once. What came of it is committed and told to the method whose effect it was.

mod fetches;
mod texts;

use std::sync::Arc;

use switchhook_core::{
    policy::registration::{Delivery, Event},
    row::{OutboxEntry, OutboxKind, OutboxState},
};
use switchhook_protocol::id::TenantId;
use tokio::{
    sync::{Notify, Semaphore},
    time,
};
use tracing::{error, warn};

use crate::{
    app::App,
    causes::Causes,
    flows::{
        Caller, FlowError,
        registration::step::{self, Beside, Step},
    },
    limits,
};

/// Hints at what was committed, a worker each.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    texts: Notify,
    fetches: Notify,
}

impl Hints {
    /// Something was committed.
    pub(crate) fn hint(&self) {
        self.texts.notify_one();
        self.fetches.notify_one();
    }

    const fn of(&self, kind: OutboxKind) -> &Notify {
        match kind {
            OutboxKind::Text => &self.texts,
            OutboxKind::Fetch => &self.fetches,
        }
    }
}

/// Works until told to stop. Each kind has a worker with places of its own: a service that is slow to
/// answer holds up nobody's text.
pub(crate) async fn work(app: Arc<App>, kind: OutboxKind) {
    let places = Arc::new(Semaphore::new(limits::EFFECTS_IN_FLIGHT));
    loop {
        match app.storage.outbox().claim(&app.me.id, kind, free(&places)).await {
            Ok(claimed) if claimed.is_empty() => {}
            Ok(claimed) => {
                for (tenant, entry) in claimed {
                    let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                    let performing = Arc::clone(&app);
                    app.tasks.spawn(async move {
                        perform(&performing, tenant, entry).await;
                        drop(place);
                        performing.outbox.of(kind).notify_one();
                    });
                }
                continue;
            }
            Err(trouble) => error!(error = %Causes(&trouble), "the outbox cannot be read"),
        }
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            () = app.outbox.of(kind).notified() => {}
            () = time::sleep(limits::LOOK_AGAIN) => {}
        }
    }
}

/// Reports what a node that is no more left in doubt.
pub(crate) async fn report_doubt(app: &App, doubtful: Vec<(TenantId, OutboxEntry)>) {
    for (tenant, entry) in doubtful {
        warn!(tenant.id = %tenant, text.id = %entry.id, "whether a text was sent is in doubt; it is not sent again");
        app.metrics.text(OutboxState::InDoubt);
        texts::tell(app, &tenant, &entry, Delivery::InDoubt).await;
    }
}

/// At least one: a claim for nothing would only be asked again.
fn free(places: &Semaphore) -> u32 {
    u32::try_from(places.available_permits()).unwrap_or(u32::MAX).max(1)
}

async fn perform(app: &App, tenant: TenantId, entry: OutboxEntry) {
    match entry.kind {
        OutboxKind::Text => texts::perform(app, &tenant, &entry).await,
        OutboxKind::Fetch => fetches::perform(app, &tenant, &entry).await,
    }
}

/// The method hears what came of its effect, if its attempt still runs.
async fn tell(
    app: &App,
    tenant: &TenantId,
    entry: &OutboxEntry,
    event: Event,
    beside: Beside,
) -> Result<Told, FlowError> {
    let storage = app.storage.of(tenant);
    let attempt = storage.attempts().get(&entry.attempt).await?;
    let Some(attempt) = attempt.filter(|attempt| !attempt.finished) else { return Ok(Told::Over) };
    let Some(device) = storage.devices().get(&attempt.device).await? else { return Ok(Told::Over) };
    let caller = Caller { tenant: tenant.clone(), device };
    let step = Step { attempt, gateway: entry.gateway.clone(), event, beside };
    step::step(app, &caller, step).await?;
    Ok(Told::Method)
}

/// Who heard what came of an effect.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Method,
    /// Nobody: the attempt is over.
    Over,
}

/// Moves an entry that was performed on.
async fn settle(app: &App, tenant: &TenantId, entry: &OutboxEntry, state: OutboxState) -> bool {
    let id = entry.id.clone();
    let moved = app
        .storage
        .of(tenant)
        .run("outbox-sent", async move |tx| {
            Ok::<_, FlowError>(tx.move_outbox(&id, OutboxState::Performing, state).await?)
        })
        .await;
    if let Err(trouble) = &moved {
        error!(tenant.id = %tenant, entry.id = %entry.id, %trouble, "what became of an effect is not stored");
    }
    moved.is_ok()
}
