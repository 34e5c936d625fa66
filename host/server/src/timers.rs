//! The timer worker and the sweeper: what is due is taken up, what has expired is forgotten.

mod firing;

use std::{sync::Arc, time::Duration};

use rand::RngExt;
use switchhook_protocol::time::Timestamp;
use switchhook_storage::{DueDeadline, DueTimer, StorageError};
use tokio::time;
use tracing::{error, info};

use self::firing::{Due, Firing};
use crate::{
    app::App,
    causes::Causes,
    flows::{FlowError, registration::deadline, ring},
    limits,
    plugins::reconcile::reconcile,
};

/// Fires timers until told to stop; what is under way then is fired to its end.
pub(crate) async fn work(app: Arc<App>) {
    let mut firing = Firing::new(&app);
    loop {
        let wait = match firing.take_up().await {
            Ok(()) if firing.is_idle() => until_next(&app).await,
            Ok(()) => LOOK_WHILE_FIRING,
            Err(trouble) => {
                error!(error = %Causes(&trouble), "timers are not looked at");
                limits::LOOK_AGAIN
            }
        };
        tokio::select! {
            biased;
            () = app.stop.cancelled() => break,
            // Many invites a second arm timers; one look serves all of them.
            () = app.timers.notified() => firing.go_on_for(PACE).await,
            () = firing.go_on() => {}
            () = time::sleep(wait) => {}
        }
    }
    if let Err(trouble) = firing.finish().await {
        error!(error = %Causes(&trouble), "a timer is left to others");
    }
}

/// Fires what is due, and waits until it is fired.
pub(crate) async fn fire_due(app: &App) -> Result<(), StorageError> {
    let mut firing = Firing::new(app);
    firing.take_up().await?;
    firing.finish().await
}

/// Fires one; an error is that of storage.
async fn take(app: &App, due: Due) -> Result<(), StorageError> {
    match due {
        Due::Ring(timer) => fire(app, timer).await,
        Due::Deadline(deadline) => tell(app, deadline).await,
    }
}

/// Tells a registration that its time is over; an error is that of storage.
async fn tell(app: &App, due: DueDeadline) -> Result<(), StorageError> {
    let (tenant, attempt) = (due.tenant.clone(), due.deadline.attempt.clone());
    match deadline::fire(app, due).await {
        Ok(()) => Ok(()),
        Err(FlowError::Storage(trouble)) => Err(trouble),
        Err(refused) => {
            error!(tenant.id = %tenant, attempt.id = %attempt, %refused, "a deadline could not be told");
            Ok(())
        }
    }
}

/// Fires one. If it cannot be, it stands behind the others for a while; an error is that not even this is noted.
async fn fire(app: &App, DueTimer { tenant, timer, tries }: DueTimer) -> Result<(), StorageError> {
    let Err(refused) = ring::fire(app, &tenant, timer.clone()).await else { return Ok(()) };
    error!(tenant.id = %tenant, session.id = %timer.session, tries, %refused, "a timer could not be fired");
    let until = app.now().after(backoff(tries, &mut app.rng()));
    let storage = app.storage.of(&tenant);
    storage.run("put-off-timer", async move |tx| tx.put_off_timer(&timer, until).await).await
}

/// Doubles with each try, up to a bound; half of it is random, so that not all come back together.
fn backoff(tries: u32, rng: &mut impl RngExt) -> Duration {
    let doubled = limits::TIMER_PAUSE.saturating_mul(1 << tries.min(16));
    doubled.min(limits::TIMER_LONGEST_PAUSE).mul_f64(rng.random_range(0.5..=1.0))
}

/// Sweeps until told to stop.
pub(crate) async fn sweep(app: Arc<App>) {
    loop {
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            () = time::sleep(limits::SWEEP) => {}
        }
        if let Err(trouble) = forget_expired(&app).await {
            error!(error = %Causes(&trouble), "expired rows are not swept");
        }
        // Where there are no other nodes, nobody else looks again for what did not load.
        if let Err(trouble) = reconcile(&app).await {
            error!(error = %Causes(&trouble), "plugins that did not load are not tried again");
        }
        match app.storage.end_draining().await {
            Ok(drained) => app.plugins.forget(drained),
            Err(trouble) => error!(error = %Causes(&trouble), "versions do not end their draining"),
        }
    }
}

/// Sweeps until nothing is left that has expired: in portions, so that others write in between.
async fn forget_expired(app: &App) -> Result<(), StorageError> {
    loop {
        let swept = app.storage.sweep(app.now()).await?;
        info!(?swept, "expired rows are swept");
        if !swept.more() || app.stop.is_cancelled() {
            return Ok(());
        }
        time::sleep(limits::SWEEP_AGAIN).await;
    }
}

async fn until_next(app: &App) -> Duration {
    let ring = app.storage.timers().next_due().await.ok().flatten();
    let registration = app.storage.next_deadline().await.ok().flatten();
    pause(ring.into_iter().chain(registration).min(), app.now())
}

/// Until the next is due, but not for long: another node may have stored an earlier one, and nobody told of it.
fn pause(next: Option<Timestamp>, now: Timestamp) -> Duration {
    next.map_or(limits::LOOK_AGAIN, |due| now.until(due)).clamp(SHORTEST, limits::LOOK_AGAIN)
}

/// How much later than due a timer may be taken up; a person does not notice.
const PACE: Duration = Duration::from_millis(20);

/// How soon a timer that comes due is noticed while others are being fired.
const LOOK_WHILE_FIRING: Duration = Duration::from_millis(50);

/// Keeps a timer that another node is about to claim from spinning.
const SHORTEST: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn a_timer_of_which_nobody_told_is_looked_for_two_seconds_later_at_the_latest() {
        let now = Timestamp::from_millis(1_000_000);
        let longest = Duration::from_secs(2);
        assert_eq!(pause(None, now), longest);
        assert_eq!(pause(Some(now.after(Duration::from_hours(1))), now), longest);
        let soon = Duration::from_millis(700);
        assert_eq!(pause(Some(now.after(soon)), now), soon);
        for due in [now, Timestamp::from_millis(1)] {
            assert_eq!(pause(Some(due), now), SHORTEST, "whoever is late finds another at work");
        }
    }

    #[test]
    fn a_timer_that_cannot_be_fired_is_tried_less_and_less_often_but_for_ever() {
        let mut rng = StdRng::seed_from_u64(1);
        for (tries, longest) in [(0, 100), (1, 200), (5, 3_200), (40, 30_000), (u32::MAX, 30_000)] {
            let pause = backoff(tries, &mut rng);
            let longest = Duration::from_millis(longest);
            assert!(pause >= longest / 2 && pause <= longest, "{tries}: {pause:?}");
        }
    }
}
