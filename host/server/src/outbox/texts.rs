//! Texts: at most once.
//!
//! A text is handed to its gateway, and its method hears what the gateway made of it. A process that dies in
//! between leaves it *performing*: at the next start that is *in doubt*, reported, and sent again only
//! on request. A text that never reached its gateway is failed, not retried for ever: the person has
//! asked for another by then. A text to somebody who has asked for no more is not sent, and its method hears that it was:
//! whoever typed the number is not to learn of that wish.

use std::sync::Arc;

use switchhook_core::{
    policy::registration::{Delivery, Event},
    registration::perform::{OutgoingText, open_outgoing},
    row::{Gateway, OutboxEntry, OutboxState, Provider},
    seal::Purpose,
    sms::split,
};
use switchhook_delivery::{Sent, Transit, Twilio, Webhook};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{MessageId, TenantId},
};
use switchhook_storage::StorageError;
use tracing::info;

use super::{conclude, not_stored, read_later};
use crate::{app::App, fail_point, http::transit::twilio::status_url, smscs};

pub(super) async fn perform(app: &Arc<App>, tenant: &TenantId, entry: &OutboxEntry) {
    let loaded = loop {
        match load(app, tenant, entry).await {
            Ok(loaded) => break loaded,
            Err(trouble) if read_later(app, tenant, entry, &trouble).await => {}
            Err(_) => return,
        }
    };
    let parts = if let Loaded::Wanted(wanted) = &loaded { split(&wanted.1.text).parts.len() } else { 0 };
    fail_point("effect.send-text.before");
    let sent = match &loaded {
        Loaded::Wanted(wanted) => send(app, tenant, &entry.id, &wanted.0, &wanted.1).await,
        Loaded::Unwanted | Loaded::Gone => Sent::NotReached,
    };
    fail_point("effect.send-text.after");
    info!(tenant.id = %tenant, text.id = %entry.id, outcome = ?sent, parts, "a text was handed to its gateway");
    let (state, delivery, reference) = match sent {
        Sent::Taken { reference } => (OutboxState::Sent, Delivery::Sent, reference),
        Sent::Refused(_) | Sent::NotReached => (OutboxState::Failed, Delivery::Failed, None),
        Sent::InDoubt => (OutboxState::InDoubt, Delivery::InDoubt, None),
    };
    app.metrics.text(state);
    if state == OutboxState::Sent {
        app.metrics.text_parts.inc_by(u64::try_from(parts).unwrap_or_default());
    }
    let (delivery, to) = match loaded {
        Loaded::Wanted(wanted) => (delivery, Some(wanted.1.to)),
        Loaded::Unwanted => (Delivery::Sent, None),
        Loaded::Gone => (delivery, None),
    };
    if let (OutboxState::Sent, Some(to)) = (state, &to) {
        app.metrics.texted(to);
    }
    note(app, tenant, entry, reference, to).await;
    conclude(app, tenant, entry, Some(Event::TextSent(delivery)), state).await;
}

/// Notes what its gateway calls a text, and counts it for the gateway. A receipt may then end a doubt, also where this
/// process dies before the method has heard.
async fn note(
    app: &App,
    tenant: &TenantId,
    entry: &OutboxEntry,
    reference: Option<String>,
    to: Option<EndpointId>,
) {
    let (Some(gateway), Some(to)) = (entry.gateway.clone(), to) else { return };
    let (storage, id, now) = (app.storage.of(tenant), entry.id.clone(), app.now());
    let noted = storage.run("outbox-noted", async move |tx| {
        tx.count_text(&gateway, &to, now).await?;
        match &reference {
            Some(reference) => tx.refer_outbox(&id, reference).await,
            None => Ok(()),
        }
    });
    if let Err(trouble) = noted.await {
        not_stored(tenant, entry, &trouble);
    }
}

async fn send(
    app: &Arc<App>,
    tenant: &TenantId,
    id: &MessageId,
    gateway: &Gateway,
    text: &OutgoingText,
) -> Sent {
    if gateway.provider.is_kept() {
        return match smscs::of(app, tenant, gateway.clone()) {
            Some(smsc) => smsc.send(text).await,
            None => Sent::NotReached,
        };
    }
    match transit(app, tenant, id, gateway) {
        Some(transit) => app.texts.send(&transit, id, text, app.now()).await,
        None => Sent::NotReached,
    }
}

/// What an entry is about.
enum Loaded {
    /// A text, and its gateway.
    Wanted(Box<(Gateway, OutgoingText)>),
    /// A text to somebody who wants none.
    Unwanted,
    /// The gateway is no more, or the text cannot be opened.
    Gone,
}

async fn load(app: &App, tenant: &TenantId, entry: &OutboxEntry) -> Result<Loaded, StorageError> {
    let storage = app.storage.of(tenant);
    let Some(id) = entry.gateway.as_ref() else { return Ok(Loaded::Gone) };
    let Some(gateway) = storage.gateways().get(id).await? else { return Ok(Loaded::Gone) };
    let Some(text) = open_outgoing(&app.keys.of(tenant), &entry.payload) else { return Ok(Loaded::Gone) };
    if storage.has_opted_out(&text.to).await? {
        info!(tenant.id = %tenant, text.id = %entry.id, to = %text.to, "a text is not sent: its number has opted out");
        app.metrics.opted_out.inc();
        return Ok(Loaded::Unwanted);
    }
    Ok(Loaded::Wanted(Box::new((gateway, text))))
}

/// Where a gateway takes texts over HTTP.
fn transit(app: &App, tenant: &TenantId, text: &MessageId, gateway: &Gateway) -> Option<Transit> {
    let secret = app.keys.of(tenant).open_bytes(Purpose::Secret, &gateway.secret).ok()?;
    match &gateway.provider {
        Provider::Webhook { send_url } => {
            Some(Transit::Webhook(Webhook { send_url: send_url.clone(), secret }))
        }
        Provider::Twilio(account) => {
            let told_at = |url| status_url(url, tenant, &gateway.id, text);
            Some(Transit::Twilio(Twilio {
                account: account.clone(),
                auth_token: String::from_utf8(secret).ok()?,
                from: gateway.number.clone(),
                status_url: app.web_url.as_ref().map(told_at),
            }))
        }
        Provider::Smpp(_) => None,
    }
}
