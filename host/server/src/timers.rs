//! The timer worker and the sweeper: what is due is taken up, what has expired is forgotten.

use std::{sync::Arc, time::Duration};

use tokio::time;
use tracing::{error, info};

use crate::{app::App, causes::Causes, flows::ring, limits};

/// Fires timers until told to stop.
pub(crate) async fn work(app: Arc<App>) {
    loop {
        let due = app.storage.timers().due(app.now(), limits::TIMERS).await.unwrap_or_default();
        for (tenant, timer) in due {
            if let Err(refused) = ring::fire(&app, &tenant, timer).await {
                error!(tenant.id = %tenant, %refused, "a timer could not be fired");
            }
        }
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            // Many invites a second arm timers; one look serves all of them.
            () = app.timers.notified() => time::sleep(PACE).await,
            () = time::sleep(until_next(&app).await) => {}
        }
    }
}

/// Sweeps until told to stop.
pub(crate) async fn sweep(app: Arc<App>) {
    loop {
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            () = time::sleep(limits::SWEEP) => {}
        }
        match app.storage.sweep(app.now()).await {
            Ok(swept) => info!(?swept, "expired rows are swept"),
            Err(trouble) => error!(error = %Causes(&trouble), "expired rows are not swept"),
        }
        match app.storage.end_draining().await {
            Ok(drained) => app.plugins.forget(drained),
            Err(trouble) => error!(error = %Causes(&trouble), "versions do not end their draining"),
        }
    }
}

async fn until_next(app: &App) -> Duration {
    let next = app.storage.timers().next_due().await.ok().flatten();
    next.map_or(limits::LOOK_AGAIN, |due| app.now().until(due)).clamp(SHORTEST, limits::LOOK_AGAIN)
}

/// How much later than due a timer may be taken up; a person does not notice.
const PACE: Duration = Duration::from_millis(20);

/// Keeps a timer that cannot be fired from spinning.
const SHORTEST: Duration = Duration::from_millis(5);
