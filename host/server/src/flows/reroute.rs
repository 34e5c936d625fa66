//! A session's routing goes on: the router is asked how, its plan becomes rings (INV-2, INV-4).
//!
//! A timer brings it here, claimed by any node, whether or not a client is awake. The router is asked
//! before the transaction; the transaction looks again and claims the timer, so that of two nodes that
//! asked one commits, and none overwrites what another user's turn has changed.

use switchhook_core::{
    invitation::{
        invite::Reachable,
        routing::{GoingOn, Routing, go_on},
    },
    policy::route::{self, Finally, Plan},
    row::{Device, Invitation, InvitationState, Session, Timer},
};
use switchhook_protocol::id::TenantId;
use switchhook_storage::{Committed, TenantStorage};

use super::{Caller, FlowError};
use crate::app::App;

/// Asks the router how the ringing of a user goes on, and does it.
pub(crate) async fn reroute(app: &App, tenant: &TenantId, timer: Timer, user: u16) -> Result<(), FlowError> {
    let storage = app.storage.of(tenant);
    let Some(asked) = Asked::load(app, &storage, &timer, user).await? else {
        return forget(&storage, timer).await;
    };
    let (routing, plan) = asked.plan(app, &storage).await?;
    let (keys, now, mut rng) = (app.keys.of(tenant), app.now(), app.rng());
    let (session, inviter) = (asked.session, asked.caller.device);
    let committed = storage
        .run("reroute", async move |tx| {
            // Another user's routing went on meanwhile: the timer stays, and the router is asked anew.
            let row = tx.session(&session.id).await?;
            if row.is_none_or(|row| row.routing != session.routing) || !tx.claim_timer(&timer).await? {
                return Ok(Committed::default());
            }
            let Some(invitation) = tx.invitation(&session.id, user).await? else {
                return Ok(Committed::default());
            };
            let legs = tx.legs(&session.id).await?;
            let facts = GoingOn {
                keys: &keys,
                session: &session,
                inviter: &inviter,
                invitation: &invitation,
                legs: &legs,
                now,
            };
            let writes = go_on(facts, routing, &plan, &mut rng);
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(tenant, &committed);
    app.timers.notify_one();
    Ok(())
}

/// What the router is asked about.
struct Asked {
    caller: Caller,
    session: Session,
    invitation: Invitation,
    routing: Routing,
}

impl Asked {
    /// None if nothing goes on: the user answered, the session is over.
    async fn load(
        app: &App,
        storage: &TenantStorage,
        timer: &Timer,
        user: u16,
    ) -> Result<Option<Self>, FlowError> {
        let sessions = storage.sessions();
        let Some(session) = sessions.get(&timer.session).await? else { return Ok(None) };
        let mut invitations = sessions.invitations(&session.id).await?.into_iter();
        let rings = |it: &Invitation| it.user == user && it.state == InvitationState::Ringing;
        let Some(invitation) = invitations.find(rings) else { return Ok(None) };
        let Some(routing) = Routing::of(&session, &app.keys.of(storage.tenant())) else { return Ok(None) };
        let Some(device) = storage.devices().get(&session.inviter).await? else { return Ok(None) };
        let caller = Caller { tenant: storage.tenant().clone(), device };
        Ok(Some(Self { caller, session, invitation, routing }))
    }

    /// Goes on to whom the last plan named when nobody rings any more, then asks the router, which may name
    /// another.
    async fn plan(&self, app: &App, storage: &TenantStorage) -> Result<(Routing, Plan), FlowError> {
        let mut routing = self.routing.clone();
        let legs = storage.sessions().legs(&self.session.id).await?;
        let quiet = !legs.iter().any(|leg| leg.user == self.invitation.user && leg.state.may_ring());
        loop {
            if quiet && let Some(to) = routing.forward().cloned() {
                forward(storage, &self.caller.device, &mut routing, (self.invitation.user, &to)).await?;
            }
            let question = question(app, &self.caller.tenant, &routing, routing.so_far(&legs));
            let plan = app.plugins.route(app, &self.caller, &self.session.id, question).await?;
            // A plan without rings that names the next one to go on to: that one is asked about.
            match &plan.finally {
                Finally::Forward(to) if quiet && plan.waves.is_empty() && routing.may_forward(to) => {
                    routing.finally = plan.finally;
                }
                Finally::Forward(_) | Finally::GiveUp(_) | Finally::Bridge(_) => return Ok((routing, plan)),
            }
        }
    }
}

/// Adds the devices of whom it goes on to.
pub(crate) async fn forward(
    storage: &TenantStorage,
    inviter: &Device,
    routing: &mut Routing,
    (user, to): (u16, &switchhook_protocol::endpoint::EndpointId),
) -> Result<(), FlowError> {
    let found = storage.registrations().of_endpoints(&inviter.application, std::slice::from_ref(to)).await?;
    let others = found.into_iter().filter(|target| target.device != inviter.id).collect();
    routing.forward_to(to, user, others);
    Ok(())
}

/// What a router is asked.
pub(crate) fn question(
    app: &App,
    tenant: &TenantId,
    routing: &Routing,
    so_far: Vec<route::LegOutcome>,
) -> route::Question {
    let target = |Reachable { user, target }: &Reachable| route::Target {
        user: *user,
        kind: target.kind.clone(),
        region: String::new(),
        online: app.online.has(&(tenant.clone(), target.device.clone())),
    };
    route::Question {
        invite: route::Invite {
            inviter: routing.asked.from.clone(),
            invited: routing.asked.invited.clone(),
            purpose: routing.asked.purpose.clone(),
            inviter_region: routing.network.region().unwrap_or_default().to_owned(),
        },
        targets: routing.targets.iter().map(target).collect(),
        so_far,
        answers: Vec::new(),
    }
}

/// The timer has nothing to do.
async fn forget(storage: &TenantStorage, timer: Timer) -> Result<(), FlowError> {
    storage.run("reroute", async move |tx| tx.claim_timer(&timer).await).await?;
    Ok(())
}
