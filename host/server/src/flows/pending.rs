//! A ringing user about whom the router is asked: loaded before, looked at again in the transaction.

use switchhook_core::{
    invitation::{going_on::GoingOn, routing::Routing},
    row::{Invitation, InvitationState, Leg, Session, Timer},
    seal::KeyRing,
};
use switchhook_protocol::time::Timestamp;
use switchhook_storage::{StorageError, TenantStorage, Transaction};

use super::{Caller, FlowError, route::Asking};
use crate::app::App;

/// A ringing user, as it was when the router was asked.
pub(super) struct Pending {
    pub(super) caller: Caller,
    pub(super) session: Session,
    pub(super) routing: Routing,
    pub(super) invitation: Invitation,
    pub(super) legs: Vec<Leg>,
}

impl Pending {
    /// None if nothing goes on: the user answered, the session is over.
    pub(super) async fn load(
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
        let caller = Caller { tenant: storage.tenant().clone(), device, from: None };
        let legs = sessions.legs(&session.id).await?;
        Ok(Some(Self { caller, session, routing, invitation, legs }))
    }

    pub(super) fn asking(&self) -> Asking<'_> {
        Asking {
            caller: &self.caller,
            session: &self.session.id,
            routing: &self.routing,
            legs: &self.legs,
            user: self.invitation.user,
        }
    }

    /// The user's rows as they are now, and the timer claimed; none if the user's ringing went on meanwhile, or
    /// another has the timer.
    pub(super) async fn again(
        &self,
        tx: &mut Transaction<'_>,
        timer: &Timer,
    ) -> Result<Option<(Invitation, Vec<Leg>)>, StorageError> {
        let invitation = tx.invitation(&self.session.id, self.invitation.user).await?;
        let as_asked = invitation.filter(|it| it.course == self.invitation.course);
        let Some(invitation) = as_asked else { return Ok(None) };
        if !tx.claim_timer(timer).await? {
            return Ok(None);
        }
        Ok(Some((invitation, tx.legs(&self.session.id).await?)))
    }

    /// What is decided from.
    pub(super) fn facts<'a>(
        &'a self,
        keys: &'a KeyRing,
        (invitation, legs): &'a (Invitation, Vec<Leg>),
        now: Timestamp,
    ) -> GoingOn<'a> {
        GoingOn {
            keys,
            session: &self.session,
            routing: &self.routing,
            inviter: &self.caller.device,
            invitation,
            legs,
            now,
        }
    }
}

/// The timer has nothing to do.
pub(super) async fn forget(storage: &TenantStorage, timer: Timer) -> Result<(), FlowError> {
    storage.run("forget-timer", async move |tx| tx.claim_timer(&timer).await).await?;
    Ok(())
}
