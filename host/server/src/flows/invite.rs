//! Invite: rings every device of the people invited, and tells the inviter which (INV-1 to INV-3).

use std::borrow::Cow;

use switchhook_core::{
    invitation::{
        course::Course,
        invite::{self, Inviting},
        routing::{Asked, Routing},
    },
    mint,
    network::NetworkFacts,
    policy::route::Finally,
};
use switchhook_protocol::{
    device_key::Statement,
    error::ErrorCode,
    invitation::{Invite, InviteStatus},
    peer::SessionKey,
};

use super::{
    Caller, FlowError, number, reach,
    repeat::Repeatable,
    route::{self, Asking},
};
use crate::{app::App, refused::RefusedInvite};

pub(crate) async fn invite(app: &App, caller: &Caller, request: Invite) -> Result<InviteStatus, FlowError> {
    let invited = once(app, caller, &request).await;
    if let Err(FlowError::Refused(body)) = &invited {
        // No row tells of it, and somebody may ask why it did not ring: by the number that was meant.
        let meant = number::completed(caller, &request).unwrap_or(Cow::Borrowed(&request));
        let refused = RefusedInvite::of(&caller.device.id, &meant, body, app.now());
        app.refused.note(&caller.tenant, refused);
    }
    invited
}

async fn once(app: &App, caller: &Caller, request: &Invite) -> Result<InviteStatus, FlowError> {
    let _place = app.invites.take(&caller.tenant).ok_or_else(FlowError::overloaded)?;
    let repeat = Repeatable::of(caller, request.idempotency_key.as_ref(), request)?;
    let storage = app.storage.of(&caller.tenant);
    if let Some(status) = repeat.answered(&storage).await? {
        return Ok(status);
    }
    let rung = ring(app, caller, request, &repeat).await;
    repeat.settle(&storage, rung).await
}

async fn ring(
    app: &App,
    caller: &Caller,
    request: &Invite,
    repeat: &Repeatable<'_>,
) -> Result<InviteStatus, FlowError> {
    let (tenant, inviter) = (&caller.tenant, &caller.device);
    invite::check(request)?;
    let request = &*number::completed(caller, request)?;
    check_session_key(caller, &request.session_key)?;
    let network = NetworkFacts::read(&request.connection_data, app.keys.cdx(), app.now())?;

    let found = reach::devices_from_own(app, caller, &request.from, &request.invited).await?;
    let registered = invite::registered(&found);
    let (of_device, from_to) = ((tenant, &inviter.id), (&request.from, request.invited.as_slice()));
    app.bounds.invite(of_device, from_to, app.now()).map_err(FlowError::too_often)?;
    let fan_out = app.bounds.of(tenant).limits.fan_out;
    let targets = invite::targets(found, &inviter.id, &request.invited, fan_out)?;

    let session = mint::session(&mut app.rng());
    let routing = Routing::new(Asked::from(request), network, &mut app.rng());
    let asking = Asking { caller, session: &session, routing: &routing, legs: &[], user: 0 };
    let answer = route::ask(app, asking, Course::new(&routing.asked, targets)).await?;
    if let (true, Finally::GiveUp(word)) = (answer.plan.waves.is_empty(), &answer.plan.finally) {
        return Err(FlowError::refused(ErrorCode::RouteRefused, word));
    }

    let keys = app.keys.of(tenant);
    let facts = Inviting {
        keys: &keys,
        session: &session,
        inviter,
        routing: &routing,
        course: &answer.course,
        plan: &answer.plan,
        registered: &registered,
        now: app.now(),
    };
    let invited = invite::invite(facts, &mut app.rng())?;
    let kept = repeat.keep(&invited.status, app.now())?;
    let writes = invited.writes.into_iter().chain(answer.decided).chain(kept).collect();
    let committed = app.storage.of(tenant).commit("invite", writes).await?;
    app.wake(tenant, committed);
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
