//! Block lists: by whom the identifiers of a device are not rung.

use switchhook_protocol::{
    block::{Block, Blocked, BlockedList, Unblock},
    call::Done,
    endpoint::EndpointId,
    error::ErrorCode,
};

use super::{Caller, FlowError};
use crate::app::App;

pub(crate) async fn block(app: &App, caller: &Caller, request: Block) -> Result<Done, FlowError> {
    check_own(app, caller, &request.endpoint).await?;
    let (storage, now) = (app.storage.of(&caller.tenant), app.now());
    let Block { endpoint, who } = request;
    let blocked = storage.run("block", async move |tx| tx.block(&endpoint, &who, now).await).await?;
    if blocked { Ok(Done {}) } else { Err(FlowError::refused(ErrorCode::TooLarge, "the list is full")) }
}

pub(crate) async fn unblock(app: &App, caller: &Caller, request: Unblock) -> Result<Done, FlowError> {
    check_own(app, caller, &request.endpoint).await?;
    let storage = app.storage.of(&caller.tenant);
    let Unblock { endpoint, who } = request;
    storage.run("unblock", async move |tx| tx.unblock(&endpoint, &who).await).await?;
    Ok(Done {})
}

pub(crate) async fn blocked(app: &App, caller: &Caller, request: Blocked) -> Result<BlockedList, FlowError> {
    check_own(app, caller, &request.endpoint).await?;
    Ok(BlockedList { who: app.storage.of(&caller.tenant).blocks().of(&request.endpoint).await? })
}

async fn check_own(app: &App, caller: &Caller, endpoint: &EndpointId) -> Result<(), FlowError> {
    let storage = app.storage.of(&caller.tenant);
    let own = storage.registrations().holds(&caller.device.id, endpoint).await?;
    if own { Ok(()) } else { Err(ErrorCode::NotYourIdentifier.into()) }
}
