//! Signal: candidates, SDP and the like, straight to the peer's socket or nowhere.

use switchhook_core::ticket::{Alias, SessionTicket};
use switchhook_protocol::{client::Signal, error::ErrorCode, server::PeerSignal};

use super::Caller;
use crate::app::App;

/// Largest `data`, in bytes: an SDP with its candidates has room.
const MAX_DATA: usize = 16 * 1024;

pub(crate) fn signal(app: &App, caller: &Caller, request: Signal) -> Result<(), ErrorCode> {
    if request.data.to_string().len() > MAX_DATA {
        return Err(ErrorCode::TooLarge);
    }
    let keys = app.keys.of(&caller.tenant);
    let ticket = SessionTicket::open(&keys, &request.ticket, &caller.device.id, app.now())?;
    let to = Alias::open(&keys, &request.to, &ticket.session)?;
    let from = Alias { session: ticket.session.clone(), device: caller.device.id.clone() };
    let signal =
        PeerSignal { session: ticket.session, from: from.seal(&keys, &mut app.rng()), data: request.data };
    if app.online.signal(&(caller.tenant.clone(), to.device), signal) {
        app.metrics.signalled.inc();
    }
    Ok(())
}
