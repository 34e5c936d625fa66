//! A user's ringing goes on: the router is asked how, its plan becomes rings (INV-2, INV-4, INV-15).
//!
//! A timer brings it here, claimed by any node, whether or not a client is awake. The router is asked
//! before the transaction; the transaction looks again and claims the timer, so that of two nodes that
//! asked one commits.

use switchhook_core::{
    invitation::{course::Course, going_on::go_on},
    row::Timer,
};
use switchhook_protocol::id::TenantId;
use switchhook_storage::Committed;

use super::{
    FlowError,
    pending::{self, Pending},
    route::{self, Answer},
};
use crate::app::App;

/// Asks the router how the ringing of a user goes on, and does it.
pub(crate) async fn reroute(app: &App, tenant: &TenantId, timer: Timer, user: u16) -> Result<(), FlowError> {
    let storage = app.storage.of(tenant);
    let Some(pending) = Pending::load(app, &storage, &timer, user).await? else {
        return pending::forget(&storage, timer).await;
    };
    let Some(course) = Course::of(&pending.invitation, &app.keys.of(tenant)) else {
        return pending::forget(&storage, timer).await;
    };
    let Answer { course, plan, decided } = route::ask(app, pending.asking(), course).await?;
    let (keys, now, mut rng) = (app.keys.of(tenant), app.now(), app.rng());
    let committed = storage
        .run("reroute", async move |tx| {
            // The user's ringing went on meanwhile: the timer stays, and the router is asked anew.
            let Some(found) = pending.again(tx, &timer).await? else { return Ok(Committed::default()) };
            let mut writes = go_on(pending.facts(&keys, &found, now), &course, &plan, &mut rng);
            writes.extend(decided);
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(tenant, committed);
    app.timers.notify_one();
    Ok(())
}
