//! Invite: rings every device of the people invited, and tells the inviter which (INV-1 to INV-3).

use switchhook_core::{
    invitation::{
        invite::{self, Inviting},
        routing::{Asked, Routing},
    },
    mint,
    network::NetworkFacts,
    policy::route::{Finally, Plan},
};
use switchhook_protocol::{
    device_key::Statement,
    error::ErrorCode,
    id::SessionId,
    invitation::{Invite, InviteStatus},
    peer::SessionKey,
};

use super::{Caller, FlowError, reroute};
use crate::app::App;

pub(crate) async fn invite(app: &App, caller: &Caller, request: Invite) -> Result<InviteStatus, FlowError> {
    let (tenant, inviter) = (&caller.tenant, &caller.device);
    invite::check(&request)?;
    check_session_key(caller, &request.session_key)?;
    let network = NetworkFacts::read(&request.connection_data, app.keys.cdx(), app.now())?;

    let storage = app.storage.of(tenant);
    if !storage.registrations().holds(&inviter.id, &request.from).await? {
        return Err(ErrorCode::NotYourIdentifier.into());
    }
    let registered = storage.registrations().of_endpoints(&inviter.application, &request.invited).await?;
    let targets = invite::targets(registered, &inviter.id, &request.invited)?;

    let session = mint::session(&mut app.rng());
    let routing = Routing::new(Asked::from(&request), network, targets, &mut app.rng());
    let (routing, plan) = plan(app, caller, &session, routing).await?;
    if let (true, Finally::GiveUp(word)) = (plan.waves.is_empty(), &plan.finally) {
        return Err(FlowError::refused(ErrorCode::RouteRefused, word));
    }

    let keys = app.keys.of(tenant);
    let facts =
        Inviting { keys: &keys, session: &session, inviter, routing: &routing, plan: &plan, now: app.now() };
    let invited = invite::invite(facts, &mut app.rng())?;
    let committed = storage.commit("invite", invited.writes).await?;
    app.wake(tenant, &committed);
    app.timers.notify_one();
    app.metrics.invited.inc();
    Ok(invited.status)
}

/// A session key counts only if the device key signed it.
pub(crate) fn check_session_key(caller: &Caller, key: &SessionKey) -> Result<(), ErrorCode> {
    let statement = Statement::SessionKey { tenant: &caller.tenant, public: &key.public.0 };
    let signed = caller.device.key.verify(&statement, &key.signature).is_ok();
    if signed && key.public.0.len() == 32 { Ok(()) } else { Err(ErrorCode::Unauthorized) }
}

/// Asks the router; a plan that rings nobody and names somebody to go on to is followed.
async fn plan(
    app: &App,
    caller: &Caller,
    session: &SessionId,
    mut routing: Routing,
) -> Result<(Routing, Plan), FlowError> {
    loop {
        let question = reroute::question(app, &caller.tenant, &routing, Vec::new());
        let plan = app.plugins.route(app, caller, session, question).await?;
        match &plan.finally {
            Finally::Forward(to) if plan.waves.is_empty() && routing.may_forward(to) => {
                let storage = app.storage.of(&caller.tenant);
                reroute::forward(&storage, &caller.device, &mut routing, (0, to)).await?;
            }
            Finally::Forward(_) | Finally::GiveUp(_) | Finally::Bridge(_) => return Ok((routing, plan)),
        }
    }
}
