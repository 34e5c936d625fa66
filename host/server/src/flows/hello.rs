//! Hello: one step proves the device and opens its mailbox.

use switchhook_core::subscriber::Subscriber;
use switchhook_protocol::{
    client::{Cursor, Hello},
    device_key::Statement,
    error::ErrorCode,
    id::{Epoch, TenantId},
    server::Resumed,
};

use super::{Caller, FlowError, late, number};
use crate::{app::App, secrets};

/// A known device and where its mailbox goes on.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) caller: Caller,
    pub(crate) resumed: Resumed,
    pub(crate) epoch: Epoch,
    /// The last sequence number that the application has.
    pub(crate) seq: u64,
}

pub(crate) async fn hello(
    app: &App,
    (tenant, from): (&TenantId, Subscriber),
    nonce: &str,
    request: Hello,
) -> Result<Entered, FlowError> {
    let storage = app.storage.of(tenant);
    let hash = secrets::hash(request.push_token.as_str());
    let device = storage.devices().by_push_token(&hash).await?.ok_or(ErrorCode::Unauthorized)?;
    let statement =
        Statement::Hello { nonce, tenant, device: &request.device, push_token: &request.push_token };
    let proven = device.key.verify(&statement, &request.proof).is_ok() && device.id == request.device;
    if !proven {
        return Err(ErrorCode::Unauthorized.into());
    }
    let state = storage.mailbox(&device.id).state(app.now()).await?.ok_or(ErrorCode::Internal)?;
    let (resumed, seq) = resume(request.cursor.as_ref(), &state.epoch, state.last_seq, state.lost_seq);
    if state.first_seq.is_some_and(|first| first <= seq) {
        storage.mailbox(&device.id).acknowledge(seq).await?;
    }
    let caller = Caller {
        tenant: tenant.clone(),
        device: number::signed_in(app, tenant, device, request.dials_from).await?,
        from: Some(from),
    };
    late::come_back(app, &caller).await?;
    Ok(Entered { caller, resumed, epoch: state.epoch, seq })
}

/// What a client missed, judged by where it says that it is.
fn resume(cursor: Option<&Cursor>, epoch: &Epoch, last: u64, lost: u64) -> (Resumed, u64) {
    match cursor {
        Some(cursor) if cursor.epoch == *epoch && cursor.seq <= last => {
            let resumed = if lost > cursor.seq { Resumed::Partial } else { Resumed::Full };
            (resumed, cursor.seq)
        }
        Some(_) | None => (Resumed::None, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_another_incarnation_or_from_the_future_resumes_nothing() {
        let epoch: Epoch = "one".parse().unwrap();
        let at = |epoch: &str, seq| Cursor { epoch: epoch.parse().unwrap(), seq };
        assert_eq!(resume(Some(&at("one", 4)), &epoch, 6, 4), (Resumed::Full, 4));
        assert_eq!(resume(Some(&at("one", 4)), &epoch, 6, 5), (Resumed::Partial, 4));
        assert_eq!(resume(Some(&at("two", 4)), &epoch, 6, 0), (Resumed::None, 0));
        assert_eq!(resume(Some(&at("one", 7)), &epoch, 6, 0), (Resumed::None, 0));
        assert_eq!(resume(None, &epoch, 6, 0), (Resumed::None, 0));
    }
}
