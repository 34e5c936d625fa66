//! Invite: rings every device of the people invited, and tells the inviter which (INV-1 to INV-3).

use switchhook_core::{
    invitation::invite::{self, Inviting},
    mint,
    network::NetworkFacts,
    policy::route::{self, Finally},
    row::Target,
};
use switchhook_protocol::{
    device_key::Statement,
    error::ErrorCode,
    id::TenantId,
    invitation::{Invite, InviteStatus},
    peer::SessionKey,
};

use super::{Caller, FlowError};
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
    let targets = invite::targets(registered, &inviter.id)?;

    let session = mint::session(&mut app.rng());
    let question = question(app, tenant, &request, &network, &targets);
    let plan = app.plugins.route(app, caller, &session, question).await?;

    if let (true, Finally::GiveUp(word)) = (plan.waves.is_empty(), &plan.finally) {
        return Err(FlowError::refused(ErrorCode::RouteRefused, word));
    }

    let facts = Inviting {
        keys: &app.keys.of(tenant),
        session: &session,
        inviter,
        request: &request,
        network: &network,
        targets: &targets,
        plan: &plan,
        now: app.now(),
    };
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

fn question(
    app: &App,
    tenant: &TenantId,
    request: &Invite,
    network: &NetworkFacts,
    targets: &[Target],
) -> route::Question {
    let target = |target: &Target| route::Target {
        user: invite::user_of(target, &request.invited),
        kind: target.kind.clone(),
        region: String::new(),
        online: app.online.has(&(tenant.clone(), target.device.clone())),
    };
    route::Question {
        invite: route::Invite {
            inviter: request.from.clone(),
            invited: request.invited.clone(),
            purpose: request.purpose.clone(),
            inviter_region: network.region().unwrap_or_default().to_owned(),
        },
        targets: targets.iter().map(target).collect(),
        so_far: Vec::new(),
        answers: Vec::new(),
    }
}
