//! A device comes while its user is rung: it registers only now, or is back after its own ring was over
//! (INV-2, PUSH-3).
//!
//! Whoever lets it in arms a timer; the timer, claimed by any node, asks the router about the user's devices as
//! they are now and rings those that are late.

use switchhook_core::{
    invitation::{
        course::Course,
        late::{is_late, join, without_late},
    },
    row::{Registration, Timer, TimerKind, Write},
};
use switchhook_protocol::{
    id::{SessionId, TenantId},
    time::Timestamp,
};
use switchhook_storage::{Committed, StorageError, Transaction};

use super::{
    Caller, FlowError,
    pending::{self, Pending},
};
use crate::{app::App, limits};

/// Rings the devices of a user that came late, as the router says.
pub(crate) async fn late(app: &App, tenant: &TenantId, timer: Timer, user: u16) -> Result<(), FlowError> {
    let storage = app.storage.of(tenant);
    let Some(pending) = Pending::load(app, &storage, &timer, user).await? else {
        return pending::forget(&storage, timer).await;
    };
    let (keys, now, mut rng) = (app.keys.of(tenant), app.now(), app.rng());
    let known = Course::of(&pending.invitation, &keys);
    let mut course = known.unwrap_or_else(|| Course::new(&pending.routing.asked, Vec::new()));
    // Not those of the course: it is forgotten where nothing goes on.
    let forwards = storage.sessions().forwards(&timer.session).await?;
    let forwarded = forwards.into_iter().filter(|it| it.user == user).map(|it| it.to);
    let endpoints: Vec<_> = std::iter::once(pending.invitation.endpoint.clone()).chain(forwarded).collect();
    let devices = pending.asking().devices(app, &endpoints).await?;
    if !devices.iter().any(|target| is_late(&target.device, &pending.legs, now)) {
        return pending::forget(&storage, timer).await;
    }
    course.learn(user, devices, pending.asking().fan_out(app));
    let so_far = course.so_far(&without_late(&pending.legs, now), now);
    let (plan, decision) = pending.asking().plan(app, &course, so_far).await?;
    let now = app.now();
    let committed = storage
        .run("late", async move |tx| {
            let Some(found) = pending.again(tx, &timer).await? else { return Ok(Committed::default()) };
            let mut writes = join(pending.facts(&keys, &found, now), &course, &plan, &mut rng);
            writes.push(decision);
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(tenant, committed);
    app.timers.notify_one();
    Ok(())
}

/// A device is back: what rang for it while it was away, and is over for it alone, may ring again.
pub(crate) async fn come_back(app: &App, caller: &Caller) -> Result<(), FlowError> {
    let (storage, now) = (app.storage.of(&caller.tenant), app.now());
    let missed = storage.sessions().missed(&caller.device.id, now, limits::LATE).await?;
    if missed.is_empty() {
        return Ok(());
    }
    storage.commit("come-back", missed.into_iter().map(|user| arm(user, now)).collect()).await?;
    app.timers.notify_one();
    Ok(())
}

/// The timers for those who are rung by an identifier that a device registers now.
pub(crate) async fn registered(
    tx: &mut Transaction<'_>,
    registration: &Registration,
) -> Result<Vec<Write>, StorageError> {
    let (reached, now) = ((&registration.application, &registration.endpoint), registration.registered_at);
    let ringing = tx.ringing_for(reached, now, limits::LATE).await?;
    Ok(ringing.into_iter().map(|user| arm(user, now)).collect())
}

fn arm((session, user): (SessionId, u16), now: Timestamp) -> Write {
    Write::Arm(Timer { session, kind: TimerKind::Late(user), due_at: now })
}
