//! Sync: what the host has for a device that missed something.

use switchhook_protocol::{call::Snapshot, error::ErrorCode};

use super::{Caller, FlowError};
use crate::app::App;

pub(crate) async fn sync(app: &App, caller: &Caller) -> Result<Snapshot, FlowError> {
    let storage = app.storage.of(&caller.tenant);
    let state = storage.mailbox(&caller.device.id).state(app.now()).await?.ok_or(ErrorCode::Internal)?;
    let registrations = storage.registrations().of_device(&caller.device.id).await?;
    Ok(Snapshot { epoch: state.epoch, seq: state.last_seq, registrations })
}
