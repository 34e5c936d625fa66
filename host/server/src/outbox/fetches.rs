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
    row::{OutboxEntry, OutboxState},
};
use switchhook_delivery::OutboundRequest;
use switchhook_protocol::id::TenantId;
use tokio::time;
use tracing::debug;

use super::conclude;
use crate::{
    app::App,
    fail_point, limits,
    outbound::{self, Asking},
};

pub(super) async fn perform(app: &App, tenant: &TenantId, entry: &OutboxEntry) {
    let Some(fetched) = ask(app, tenant, entry).await else {
        return conclude(app, tenant, entry, None, OutboxState::Failed).await;
    };
    fail_point("effect.fetch.after");
    let state = if fetched.outcome.is_ok() { OutboxState::Sent } else { OutboxState::Failed };
    conclude(app, tenant, entry, Some(Event::Fetched(fetched)), state).await;
}

/// The service's answer; none if the entry cannot be read or its attempt is gone.
async fn ask(app: &App, tenant: &TenantId, entry: &OutboxEntry) -> Option<Fetched> {
    let mut fetch = open_fetch(&app.keys.of(tenant), &entry.payload)?;
    if let Err(why) = fill(app, tenant, entry, &mut fetch) {
        return Some(Fetched { id: fetch.id, outcome: Err(why.to_string()) });
    }
    let attempt = app.storage.of(tenant).attempts().get(&entry.attempt).await.ok()??;
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
