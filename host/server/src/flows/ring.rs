//! What time does to a ringing session: timers, claimed once, by any node (INV-4).

use switchhook_core::{
    invitation::ring,
    row::{Timer, TimerKind},
};
use switchhook_protocol::id::TenantId;
use switchhook_storage::Committed;

use super::FlowError;
use crate::app::App;

/// Does what a timer says, unless another already did.
pub(crate) async fn fire(app: &App, tenant: &TenantId, timer: Timer) -> Result<(), FlowError> {
    let (now, mut rng) = (app.now(), app.rng());
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
                        ring::end(invitation, &legs, &session.inviter, now, &mut rng)
                    })
                }
            };
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(tenant, &committed);
    Ok(())
}
