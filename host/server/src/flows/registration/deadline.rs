//! An attempt's time is over (`after`): its method hears of it, by any node.

use switchhook_core::policy::registration::Event;
use switchhook_protocol::{error::ErrorCode, id::TenantId};
use switchhook_storage::{DueDeadline, Transaction};
use tracing::info;

use super::step::{self, Beside, Step};
use crate::{
    app::App,
    flows::{Caller, FlowError},
    limits,
};

/// Tells the method of a deadline, unless another node did.
pub(crate) async fn fire(app: &App, due: DueDeadline) -> Result<(), FlowError> {
    let told = tell(app, &due).await;
    let DueDeadline { tenant, deadline } = due;
    let storage = app.storage.of(&tenant);
    match told {
        Ok(true) => return Ok(()),
        // Another node was first, or the attempt has set it anew.
        Err(FlowError::Refused(body)) if body.code == ErrorCode::Conflict => return Ok(()),
        Err(FlowError::Refused(body)) if body.code == ErrorCode::Overloaded => {
            let until = app.now().after(limits::DEADLINE_PAUSE);
            let put_off = async move |tx: &mut Transaction<'_>| tx.put_off_deadline(&deadline, until).await;
            return Ok(storage.run("put-off-deadline", put_off).await?);
        }
        Ok(false) => {}
        Err(FlowError::Refused(body)) => {
            info!(tenant.id = %tenant, attempt.id = %deadline.attempt, code = %body.code, "a method took no note of its deadline");
        }
        Err(error @ FlowError::Storage(_)) => return Err(error),
    }
    let forget = async move |tx: &mut Transaction<'_>| tx.claim_deadline(&deadline).await;
    Ok(storage.run("forget-deadline", forget).await.map(drop)?)
}

/// False if the attempt is over.
async fn tell(app: &App, due: &DueDeadline) -> Result<bool, FlowError> {
    let Some((caller, attempt)) = load(app, &due.tenant, due).await? else { return Ok(false) };
    let beside = Beside::Deadline(due.deadline.clone());
    step::step(app, &caller, Step { attempt, gateway: None, event: Event::Deadline, beside }).await?;
    Ok(true)
}

async fn load(
    app: &App,
    tenant: &TenantId,
    due: &DueDeadline,
) -> Result<Option<(Caller, switchhook_core::row::Attempt)>, FlowError> {
    let storage = app.storage.of(tenant);
    let attempt = storage.attempts().get(&due.deadline.attempt).await?;
    let Some(attempt) = attempt.filter(|attempt| !attempt.finished && app.now() < attempt.expires_at) else {
        return Ok(None);
    };
    let device = storage.devices().get(&attempt.device).await?;
    Ok(device.map(|device| (Caller { tenant: tenant.clone(), device, from: None }, attempt)))
}
