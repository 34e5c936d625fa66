//! The outbox worker: performs what was committed, after it was committed (DESIGN §2.8).
//!
//! A text is claimed (committed as *performing*), handed to its gateway, and what the gateway knows
//! is committed. A process that dies in between leaves it *performing*: at the next start that is
//! *in doubt*, reported, and sent again only on request. A text that never reached its gateway is
//! failed, not retried for ever: the person has asked for another by then.

use std::sync::Arc;

use switchhook_core::{
    policy::registration::{Delivery, Event},
    registration::perform::{OutgoingText, open_outgoing},
    row::{OutboxEntry, OutboxState},
    seal::Purpose,
};
use switchhook_delivery::{Sent, Transit};
use switchhook_protocol::id::TenantId;
use tokio::time;
use tracing::{error, info, warn};

use crate::{
    app::App,
    causes::Causes,
    fail_point,
    flows::{
        Caller, FlowError,
        registration::step::{self, Beside, Step},
    },
    limits,
};

/// Works until told to stop.
pub(crate) async fn work(app: Arc<App>) {
    let places = Arc::new(tokio::sync::Semaphore::new(limits::TEXTS_IN_FLIGHT));
    loop {
        match app.storage.outbox().claim(free(&places)).await {
            Ok(claimed) if claimed.is_empty() => {}
            Ok(claimed) => {
                for (tenant, entry) in claimed {
                    let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                    let performing = Arc::clone(&app);
                    app.tasks.spawn(async move {
                        perform(&performing, tenant, entry).await;
                        drop(place);
                        performing.outbox.notify_one();
                    });
                }
                continue;
            }
            Err(trouble) => error!(error = %Causes(&trouble), "the outbox cannot be read"),
        }
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            () = app.outbox.notified() => {}
            () = time::sleep(limits::LOOK_AGAIN) => {}
        }
    }
}

/// Reports what the process before left in doubt; called once, before the worker.
pub(crate) async fn report_doubt(app: &App) -> Result<(), FlowError> {
    for (tenant, entry) in app.storage.outbox().doubt().await? {
        warn!(tenant.id = %tenant, text.id = %entry.id, "whether a text was sent is in doubt; it is not sent again");
        app.metrics.text(OutboxState::InDoubt);
        tell_method(app, &tenant, &entry, Delivery::InDoubt).await;
    }
    Ok(())
}

/// At least one: a claim for nothing would only be asked again.
fn free(places: &tokio::sync::Semaphore) -> u32 {
    u32::try_from(places.available_permits()).unwrap_or(u32::MAX).max(1)
}

async fn perform(app: &App, tenant: TenantId, entry: OutboxEntry) {
    fail_point("effect.send-text.before");
    let sent = send(app, &tenant, &entry).await;
    fail_point("effect.send-text.after");
    let (state, delivery) = match sent {
        Sent::Taken => (OutboxState::Sent, Delivery::Sent),
        Sent::Refused(_) | Sent::NotReached => (OutboxState::Failed, Delivery::Failed),
        Sent::InDoubt => (OutboxState::InDoubt, Delivery::InDoubt),
    };
    info!(tenant.id = %tenant, text.id = %entry.id, outcome = ?sent, "a text was handed to its gateway");
    app.metrics.text(state);
    let id = entry.id.clone();
    let moved = app
        .storage
        .of(&tenant)
        .run("outbox-sent", async move |tx| {
            Ok::<_, FlowError>(tx.move_outbox(&id, OutboxState::Performing, state).await?)
        })
        .await;
    match moved {
        Ok(_) => tell_method(app, &tenant, &entry, delivery).await,
        Err(trouble) => {
            error!(tenant.id = %tenant, text.id = %entry.id, %trouble, "what became of a text is not stored");
        }
    }
}

async fn send(app: &App, tenant: &TenantId, entry: &OutboxEntry) -> Sent {
    match load(app, tenant, entry).await {
        Some((transit, text)) => app.texts.send(&transit, &entry.id, &text, app.now()).await,
        None => Sent::NotReached,
    }
}

async fn load(app: &App, tenant: &TenantId, entry: &OutboxEntry) -> Option<(Transit, OutgoingText)> {
    let keys = app.keys.of(tenant);
    let gateway = app.storage.of(tenant).gateways().get(&entry.gateway).await.ok()??;
    let secret = keys.open_bytes(Purpose::Secret, &gateway.secret).ok()?;
    let text = open_outgoing(&keys, &entry.payload)?;
    Some((Transit { send_url: gateway.send_url, secret }, text))
}

/// The method hears what became of its text, if its attempt still runs.
async fn tell_method(app: &App, tenant: &TenantId, entry: &OutboxEntry, delivery: Delivery) {
    let told = async {
        let storage = app.storage.of(tenant);
        let attempt = storage.attempts().get(&entry.attempt).await?;
        let Some(attempt) = attempt.filter(|attempt| !attempt.finished) else { return Ok(()) };
        let Some(device) = storage.devices().get(&attempt.device).await? else { return Ok(()) };
        let caller = Caller { tenant: tenant.clone(), device };
        let gateway = Some(entry.gateway.clone());
        let event = Event::TextSent(delivery);
        let step = Step { attempt, gateway, event, beside: Beside::Nothing };
        step::step(app, &caller, step).await.map(drop)
    };
    let told: Result<(), FlowError> = told.await;
    if let Err(refused) = told {
        info!(tenant.id = %tenant, text.id = %entry.id, %refused, "the method took no note of what became of its text");
    }
}
