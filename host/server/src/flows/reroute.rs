//! A user's ringing goes on: the router is asked how, its plan becomes rings (INV-2, INV-4, INV-15).
//!
//! A timer brings it here, claimed by any node, whether or not a client is awake. The router is asked
//! before the transaction; the transaction looks again and claims the timer, so that of two nodes that
//! asked one commits.

use switchhook_core::{
    invitation::{
        course::Course,
        going_on::{GoingOn, go_on},
        routing::Routing,
    },
    row::{Invitation, InvitationState, Leg, Session, Timer},
};
use switchhook_protocol::id::TenantId;
use switchhook_storage::{Committed, TenantStorage};

use super::{
    Caller, FlowError,
    route::{self, Asking},
};
use crate::app::App;

/// Asks the router how the ringing of a user goes on, and does it.
pub(crate) async fn reroute(app: &App, tenant: &TenantId, timer: Timer, user: u16) -> Result<(), FlowError> {
    let storage = app.storage.of(tenant);
    let Some(pending) = Pending::load(app, &storage, &timer, user).await? else {
        return forget(&storage, timer).await;
    };
    let Some(course) = Course::of(&pending.invitation, &app.keys.of(tenant)) else {
        return forget(&storage, timer).await;
    };
    let (course, plan) = route::ask(app, pending.asking(), course).await?;
    let (keys, now, mut rng) = (app.keys.of(tenant), app.now(), app.rng());
    let committed = storage
        .run("reroute", async move |tx| {
            let invitation = tx.invitation(&pending.session.id, user).await?;
            // The user's ringing went on meanwhile: the timer stays, and the router is asked anew.
            let as_asked = invitation.filter(|it| it.course == pending.invitation.course);
            let Some(invitation) = as_asked else { return Ok(Committed::default()) };
            if !tx.claim_timer(&timer).await? {
                return Ok(Committed::default());
            }
            let legs = tx.legs(&pending.session.id).await?;
            let facts = GoingOn {
                keys: &keys,
                session: &pending.session,
                routing: &pending.routing,
                inviter: &pending.caller.device,
                invitation: &invitation,
                legs: &legs,
                now,
            };
            let writes = go_on(facts, &course, &plan, &mut rng);
            Ok::<_, FlowError>(tx.apply(writes).await?)
        })
        .await?;
    app.wake(tenant, &committed);
    app.timers.notify_one();
    Ok(())
}

/// What waits for the router.
struct Pending {
    caller: Caller,
    session: Session,
    routing: Routing,
    invitation: Invitation,
    legs: Vec<Leg>,
}

impl Pending {
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
        let legs = sessions.legs(&session.id).await?;
        Ok(Some(Self { caller, session, routing, invitation, legs }))
    }

    fn asking(&self) -> Asking<'_> {
        Asking {
            caller: &self.caller,
            session: &self.session.id,
            routing: &self.routing,
            legs: &self.legs,
            user: self.invitation.user,
        }
    }
}

/// The timer has nothing to do.
async fn forget(storage: &TenantStorage, timer: Timer) -> Result<(), FlowError> {
    storage.run("reroute", async move |tx| tx.claim_timer(&timer).await).await?;
    Ok(())
}
