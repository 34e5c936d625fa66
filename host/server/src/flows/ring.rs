//! What time does to a ringing session: timers, claimed once, by any node (INV-4).

use switchhook_core::{
    invitation::{course::Course, ring},
    row::{Timer, TimerKind},
};
use switchhook_protocol::id::TenantId;
use switchhook_storage::Committed;

use super::{FlowError, late, reroute};
use crate::app::App;

/// Does what a timer says, unless another already did.
pub(crate) async fn fire(app: &App, tenant: &TenantId, timer: Timer) -> Result<(), FlowError> {
    match timer.kind {
        TimerKind::Reroute(user) => reroute::reroute(app, tenant, timer, user).await,
        TimerKind::Late(user) => late::late(app, tenant, timer, user).await,
        TimerKind::Wave(_) | TimerKind::RingEnd(_) => decide(app, tenant, timer).await,
    }
}

/// What needs no router is decided in the transaction that claims the timer.
async fn decide(app: &App, tenant: &TenantId, timer: Timer) -> Result<(), FlowError> {
    let (keys, now, mut rng) = (app.keys.of(tenant), app.now(), app.rng());
    let storage = app.storage.of(tenant);
    let committed = storage
        .run("timer", async move |tx| {
            if !tx.claim_timer(&timer).await? {
                return Ok(Committed::default());
            }
            let Some(session) = tx.session(&timer.session).await? else {
                return Ok(Committed::default());
            };
            let invitations = tx.invitations(&timer.session).await?;
            let legs = tx.legs(&timer.session).await?;
            let writes = match timer.kind {
                TimerKind::Wave(wave) => ring::begin_wave(wave, &invitations, &legs, now, &mut rng),
                TimerKind::RingEnd(user) => {
                    let invitation = invitations.iter().find(|invitation| invitation.user == user);
                    invitation.map_or_else(Vec::new, |invitation| {
                        let course = Course::of(invitation, &keys);
                        let told = (&session.inviter, course.as_ref());
                        ring::end(invitation, &legs, told, now, &mut rng)
                    })
                }
                // The router is asked outside of the transaction.
                TimerKind::Reroute(_) | TimerKind::Late(_) => Vec::new(),
            };
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(tenant, committed);
    Ok(())
}
