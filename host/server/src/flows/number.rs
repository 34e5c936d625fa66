//! Numbers as users dial them, completed by where the device said at sign-in that its user is (REG-10).

use std::borrow::Cow;

use switchhook_core::row::Device;
use switchhook_numbering::Incomplete;
use switchhook_protocol::{
    error::ErrorCode,
    id::TenantId,
    invitation::Invite,
    number::{CompleteNumber, CompletedNumber, DialsFrom},
};

use super::{Caller, FlowError};
use crate::app::App;

/// The device as it signs in: where it says that its user is is kept for requests to come.
pub(crate) async fn signed_in(
    app: &App,
    tenant: &TenantId,
    device: Device,
    dials_from: Option<DialsFrom>,
) -> Result<Device, FlowError> {
    let Some(from) = dials_from.filter(|from| device.dials_from.as_ref() != Some(from)) else {
        return Ok(device);
    };
    if !from.is_well_formed() {
        return Err(ErrorCode::Malformed.into());
    }
    switchhook_numbering::check(&from).map_err(refused)?;
    let (id, kept) = (device.id.clone(), from.clone());
    app.storage.of(tenant).run("sign-in", async move |tx| tx.set_dials_from(&id, &kept).await).await?;
    Ok(Device { dials_from: Some(from), ..device })
}

/// The number that the device's user means.
pub(crate) fn complete(caller: &Caller, request: &CompleteNumber) -> Result<CompletedNumber, ErrorCode> {
    let from = caller.device.dials_from.as_ref();
    let number = switchhook_numbering::complete(from, &request.dialled).map_err(refused)?;
    Ok(CompletedNumber { number })
}

/// An invite that names all whom it rings: what was dialled comes after who was named.
pub(crate) fn completed<'a>(caller: &Caller, invite: &'a Invite) -> Result<Cow<'a, Invite>, ErrorCode> {
    if invite.dialled.is_empty() {
        return Ok(Cow::Borrowed(invite));
    }
    let mut invite = invite.clone();
    for dialled in invite.dialled.split_off(0) {
        invite.invited.push(complete(caller, &CompleteNumber { dialled })?.number);
    }
    Ok(Cow::Owned(invite))
}

const fn refused(why: Incomplete) -> ErrorCode {
    match why {
        Incomplete::UnknownCountry | Incomplete::NoCountry => ErrorCode::UnknownCountry,
        Incomplete::NotANumber => ErrorCode::InvalidNumber,
    }
}
