//! Connection data: a side of a session is elsewhere on the network, and the other side learns it (NAT-2, NAT-5).

use switchhook_core::{
    exchange::{self, ExchangeTicket, Moved, Moving},
    network::NetworkFacts,
};
use switchhook_protocol::{
    error::ErrorCode,
    exchange::{ConnectionDataChanged, ConnectionDataTaken},
};

use super::{
    Caller, FlowError,
    session::{participant, still_takes_part},
};
use crate::app::App;

pub(crate) async fn changed(
    app: &App,
    caller: &Caller,
    request: ConnectionDataChanged,
) -> Result<ConnectionDataTaken, FlowError> {
    let ticket = participant(app, caller, &request.ticket).await?;
    let (keys, cdx, now) = (app.keys.of(&caller.tenant), app.keys.cdx(), app.now());
    app.bounds.update(&caller.tenant, &caller.device.id, now).map_err(FlowError::too_often)?;
    let network = NetworkFacts::read(&request.connection_data, cdx, now)?;
    let last = request.exchange.map(|last| ExchangeTicket::open_text(cdx, &last)).transpose();
    let last = last.or(Err(ErrorCode::BadTicket))?;
    let moving = Moving { keys: &keys, cdx, ticket: &ticket, last: last.as_ref(), network: &network, now };
    let moved = exchange::moved(moving, &mut app.rng())?;
    let (storage, Moved { writes, exchange }) = (app.storage.of(&caller.tenant), moved);
    let committed = storage.run("connection-data", async move |tx| {
        still_takes_part(tx, &ticket, now).await?;
        Ok::<_, FlowError>(tx.apply(writes).await?)
    });
    let committed = committed.await?;
    app.wake(&caller.tenant, committed);
    app.metrics.connection_data.inc();
    Ok(ConnectionDataTaken { exchange })
}
