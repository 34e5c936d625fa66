//! What a router is asked about one user's devices, and how its forwards are followed (INV-2).

use switchhook_core::{
    invitation::{course::Course, invite::Reachable, routing::Routing},
    policy::route::{self, Finally, Plan},
    row::{Leg, Target, Write},
};
use switchhook_protocol::{endpoint::EndpointId, id::SessionId};

use super::{Caller, FlowError, reach};
use crate::app::App;

/// A session as its router is asked about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// The inviter.
    pub(crate) caller: &'a Caller,
    pub(crate) session: &'a SessionId,
    pub(crate) routing: &'a Routing,
    /// Of the session, so far.
    pub(crate) legs: &'a [Leg],
    /// Whose ringing goes on.
    pub(crate) user: u16,
}

/// What the router said.
pub(crate) struct Answer {
    /// How the ringing came to it.
    pub(crate) course: Course,
    pub(crate) plan: Plan,
    /// What keeps its decisions with the session.
    pub(crate) decided: Vec<Write>,
}

/// Asks the router for a plan. As long as nobody of the user's devices rings, whom the last plan named is gone on
/// to first, and a plan without rings that names somebody is followed.
pub(crate) async fn ask(app: &App, asking: Asking<'_>, mut course: Course) -> Result<Answer, FlowError> {
    let mut decided = Vec::new();
    let now = app.now();
    let quiet = !asking.legs.iter().any(|leg| leg.user == asking.user && leg.rings_at(now));
    loop {
        if quiet && let Some(to) = course.forward().cloned() {
            let devices = asking.devices(app, std::slice::from_ref(&to)).await?;
            course.forward_to(&to, asking.user, devices, asking.fan_out(app));
        }
        let (plan, decision) = asking.plan(app, &course, course.so_far(asking.legs, now)).await?;
        decided.push(decision);
        match &plan.finally {
            Finally::Forward(to) if quiet && plan.waves.is_empty() && course.may_forward(to) => {
                course.finally = plan.finally;
            }
            Finally::Forward(_) | Finally::GiveUp(_) | Finally::Bridge(_) => {
                return Ok(Answer { course, plan, decided });
            }
        }
    }
}

impl Asking<'_> {
    /// The devices that the inviter reaches now by these identifiers.
    pub(crate) async fn devices(
        &self,
        app: &App,
        endpoints: &[EndpointId],
    ) -> Result<Vec<Target>, FlowError> {
        Ok(reach::devices(app, self.caller, &self.routing.asked.from, endpoints).await?)
    }

    /// How many devices the inviter's tenant lets it reach.
    pub(crate) fn fan_out(&self, app: &App) -> u32 {
        app.bounds.of(&self.caller.tenant).limits.fan_out
    }

    /// One answer of the router.
    pub(crate) async fn plan(
        &self,
        app: &App,
        course: &Course,
        so_far: Vec<route::LegOutcome>,
    ) -> Result<(Plan, Write), FlowError> {
        let whose = |it: &Reachable| (self.caller.tenant.clone(), it.target.device.clone());
        let whose: Vec<_> = course.targets.iter().map(whose).collect();
        let online = app.online.of(&whose).await;
        let target = |(Reachable { user, target }, online): (&Reachable, bool)| route::Target {
            user: *user,
            kind: target.kind.clone(),
            region: String::new(),
            online,
        };
        let Routing { asked, network, .. } = self.routing;
        let question = route::Question {
            invite: route::Invite {
                inviter: asked.from.clone(),
                invited: asked.invited.clone(),
                purpose: asked.purpose.clone(),
                inviter_region: network.region().unwrap_or_default().to_owned(),
            },
            targets: course.targets.iter().zip(online).map(target).collect(),
            so_far,
            answers: Vec::new(),
        };
        let (plan, decision) = app.plugins.route(app, self.caller, self.session, question).await?;
        Ok((plan, Write::Decide { session: self.session.clone(), decision }))
    }
}
