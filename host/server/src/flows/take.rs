//! Take: the inviter chooses among the devices that accepted (INV-6).

use switchhook_core::{
    invitation::take::{self, Taking},
    row::Device,
    ticket::{Role, SessionTicket},
};
use switchhook_protocol::{
    call::Done,
    error::ErrorCode,
    id::SessionId,
    invitation::{MAX_TAKEN, Take},
};

use super::{Caller, FlowError};
use crate::app::App;

pub(crate) async fn take(app: &App, caller: &Caller, request: Take) -> Result<Done, FlowError> {
    let (id, chosen) = chosen(app, caller, &request).await?;
    let (inviter, keys) = (caller.device.clone(), app.keys.of(&caller.tenant));
    let (now, mut rng) = (app.now(), app.rng());
    let storage = app.storage.of(&caller.tenant);
    let committed = storage
        .run("take", async move |tx| {
            let session = tx.session(&id).await?.ok_or(ErrorCode::NoLongerRinging)?;
            let (invitations, legs) = (tx.invitations(&id).await?, tx.legs(&id).await?);
            let facts = Taking {
                session: &session,
                inviter: &inviter,
                invitations: &invitations,
                legs: &legs,
                chosen: &chosen,
                keys: &keys,
                now,
            };
            let writes = take::take(facts, &mut rng)?;
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(&caller.tenant, committed);
    Ok(Done {})
}

/// The session, and the devices that the tickets name, each with its ticket.
async fn chosen(
    app: &App,
    caller: &Caller,
    request: &Take,
) -> Result<(SessionId, Vec<(Device, SessionTicket)>), FlowError> {
    if request.tickets.is_empty() || request.tickets.len() > MAX_TAKEN {
        return Err(ErrorCode::Malformed.into());
    }
    let storage = app.storage.of(&caller.tenant);
    let mut session = None;
    let mut chosen = Vec::new();
    for sealed in &request.tickets {
        let ticket = SessionTicket::open(&app.keys.of(&caller.tenant), sealed, &caller.device.id, app.now())?;
        if ticket.role != Role::Inviter {
            return Err(ErrorCode::WrongRole.into());
        }
        if *session.get_or_insert_with(|| ticket.session.clone()) != ticket.session {
            return Err(ErrorCode::BadTicket.into());
        }
        let device = storage.devices().get(&ticket.peer()?.device).await?;
        chosen.push((device.ok_or(ErrorCode::NoLongerRinging)?, ticket));
    }
    Ok((session.ok_or(ErrorCode::Malformed)?, chosen))
}
