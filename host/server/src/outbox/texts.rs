//! Texts: at most once.
//!
//! A text is handed to its gateway, and what the gateway knows is committed. A process that dies in
//! between leaves it *performing*: at the next start that is *in doubt*, reported, and sent again only
//! on request. A text that never reached its gateway is failed, not retried for ever: the person has
//! asked for another by then.

use switchhook_core::{
    policy::registration::{Delivery, Event},
    registration::perform::{OutgoingText, open_outgoing},
    row::{OutboxEntry, OutboxState},
    seal::Purpose,
};
use switchhook_delivery::{Sent, Transit};
use switchhook_protocol::id::TenantId;
use tracing::info;

use super::settle;
use crate::{app::App, fail_point, flows::registration::step::Beside};

pub(super) async fn perform(app: &App, tenant: &TenantId, entry: &OutboxEntry) {
    fail_point("effect.send-text.before");
    let sent = send(app, tenant, entry).await;
    fail_point("effect.send-text.after");
    let (state, delivery) = match sent {
        Sent::Taken => (OutboxState::Sent, Delivery::Sent),
        Sent::Refused(_) | Sent::NotReached => (OutboxState::Failed, Delivery::Failed),
        Sent::InDoubt => (OutboxState::InDoubt, Delivery::InDoubt),
    };
    info!(tenant.id = %tenant, text.id = %entry.id, outcome = ?sent, "a text was handed to its gateway");
    app.metrics.text(state);
    if settle(app, tenant, entry, state).await {
        tell(app, tenant, entry, delivery).await;
    }
}

/// The method hears what became of its text.
pub(super) async fn tell(app: &App, tenant: &TenantId, entry: &OutboxEntry, delivery: Delivery) {
    let told = super::tell(app, tenant, entry, Event::TextSent(delivery), Beside::Nothing).await;
    if let Err(refused) = told {
        info!(tenant.id = %tenant, text.id = %entry.id, %refused, "the method took no note of what became of its text");
    }
}

async fn send(app: &App, tenant: &TenantId, entry: &OutboxEntry) -> Sent {
    match load(app, tenant, entry).await {
        Some((transit, text)) => app.texts.send(&transit, &entry.id, &text, app.now()).await,
        None => Sent::NotReached,
    }
}

async fn load(app: &App, tenant: &TenantId, entry: &OutboxEntry) -> Option<(Transit, OutgoingText)> {
    let keys = app.keys.of(tenant);
    let gateway = app.storage.of(tenant).gateways().get(entry.gateway.as_ref()?).await.ok()??;
    let secret = keys.open_bytes(Purpose::Secret, &gateway.secret).ok()?;
    let text = open_outgoing(&keys, &entry.payload)?;
    Some((Transit { send_url: gateway.send_url, secret }, text))
}
