//! Requests of methods to their tenant's own services: at least once, with an idempotency key.
//!
//! What the service answers is the attempt's next event. That step and the end of the entry are one
//! transaction: a process that dies before it asks the service again, with the same key.

use switchhook_core::{
    policy::{
        Slot,
        registration::{Event, Fetch, Fetched},
    },
    registration::{
        password::{self, NoSuchPassword},
        perform::open_fetch,
    },
    row::{Attempt, OutboxEntry, OutboxState},
};
use switchhook_delivery::OutboundRequest;
use switchhook_protocol::id::TenantId;
use tokio::time;
use tracing::{debug, error};

use super::{conclude, pause};
use crate::{
    app::App,
    causes::Causes,
    fail_point,
    flows::FlowError,
    limits,
    outbound::{self, Asking},
};

pub(super) async fn perform(app: &App, tenant: &TenantId, entry: &OutboxEntry) {
    // A process that stops leaves it: the next one makes it again.
    let Ok(attempt) = attempt(app, tenant, entry).await else { return };
    let fetched = match attempt {
        Some(attempt) => ask(app, tenant, entry, &attempt).await,
        None => None,
    };
    let Some(fetched) = fetched else {
        return conclude(app, tenant, entry, None, OutboxState::Failed).await;
    };
    fail_point("effect.fetch.after");
    let state = if fetched.outcome.is_ok() { OutboxState::Sent } else { OutboxState::Failed };
    conclude(app, tenant, entry, Some(Event::Fetched(fetched)), state).await;
}

/// Whose request it is, if that attempt is still there; an error if the process stops before storage says.
async fn attempt(app: &App, tenant: &TenantId, entry: &OutboxEntry) -> Result<Option<Attempt>, FlowError> {
    loop {
        let trouble = match app.storage.of(tenant).attempts().get(&entry.attempt).await {
            Ok(attempt) => return Ok(attempt),
            Err(trouble) => FlowError::from(trouble),
        };
        error!(tenant.id = %tenant, fetch.id = %entry.id, error = %Causes(&trouble), "whose request it is cannot be read");
        if !trouble.passes() {
            return Ok(None);
        }
        if !pause(app).await {
            return Err(trouble);
        }
    }
}

/// The service's answer; none if the entry cannot be read.
async fn ask(app: &App, tenant: &TenantId, entry: &OutboxEntry, attempt: &Attempt) -> Option<Fetched> {
    let mut fetch = open_fetch(&app.keys.of(tenant), &entry.payload)?;
    if let Err(why) = fill(app, tenant, entry, &mut fetch) {
        return Some(Fetched { id: fetch.id, outcome: Err(why.to_string()) });
    }
    let grants = app.granted.of(tenant, Slot::RegistrationMethod, &attempt.method);
    let plugin = (Slot::RegistrationMethod, &attempt.method);
    let asking = Asking { tenant, plugin, grants: &grants, key: entry.id.as_str() };
    let mut outcome = Err(String::new());
    for pause in limits::FETCH_PAUSES {
        time::sleep(pause).await;
        let request = OutboundRequest {
            url: fetch.url.clone(),
            body: fetch.body.clone(),
            headers: vec![],
            deadline: limits::FETCH,
        };
        let asked = outbound::ask(app, asking, request).await;
        let again = asked.as_ref().is_err_and(outbound::Unanswered::is_passing);
        outcome = asked.map_err(|unanswered| unanswered.to_string());
        debug!(tenant.id = %tenant, fetch.id = %entry.id, answered = outcome.is_ok(), "a service was asked");
        if !again {
            break;
        }
    }
    Some(Fetched { id: fetch.id, outcome })
}

/// Puts in the passwords that a request to the tenant's own directory names.
fn fill(app: &App, tenant: &TenantId, entry: &OutboxEntry, fetch: &mut Fetch) -> Result<(), NoSuchPassword> {
    let named = str::from_utf8(&fetch.body).ok().filter(|body| password::names_one(body));
    if let Some(body) = named {
        let filled = password::fill(&app.keys.of(tenant), &entry.attempt, body)?;
        fetch.body = filled.as_bytes().to_vec();
    }
    Ok(())
}
