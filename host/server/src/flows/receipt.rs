//! A delivery receipt: what a gateway says later of a text that it took.
//!
//! It may come before the gateway's own answer has been noted, and it ends a doubt: what the gateway
//! says of a text was sent. It counts once, in the transaction of the step in which the method hears it: a process that
//! dies before has not answered the gateway, which tells it again.

use switchhook_core::{
    policy::registration::{Delivery, Event},
    registration::perform::open_outgoing,
    row::{OutboxEntry, OutboxKind, OutboxState},
};
use switchhook_protocol::{
    error::ErrorCode,
    id::{GatewayId, MessageId, TenantId},
};
use switchhook_storage::TenantStorage;
use tokio::time;

use super::FlowError;
use crate::{
    app::App,
    limits,
    outbox::{self, Onward, Told},
};

/// Which text a receipt is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    /// The host's id of it.
    Text(&'a MessageId),
    /// What the gateway calls it.
    Reference(&'a str),
}

/// What a text that is not known yet may still become.
const BEFORE: &[OutboxState] = &[OutboxState::Performing, OutboxState::Sent, OutboxState::InDoubt];

/// Takes a receipt of one of the gateway's own texts.
pub(crate) async fn receipt(
    app: &App,
    tenant: &TenantId,
    gateway: &GatewayId,
    about: About<'_>,
    delivered: bool,
) -> Result<(), FlowError> {
    let entry = find(app, tenant, gateway, about).await?.ok_or(ErrorCode::NotFound)?;
    if !BEFORE.contains(&entry.state) {
        return Ok(());
    }
    let (state, delivery) = if delivered {
        (OutboxState::Delivered, Delivery::Delivered)
    } else {
        (OutboxState::Failed, Delivery::Failed)
    };
    let to = open_outgoing(&app.keys.of(tenant), &entry.payload).map(|text| text.to).filter(|_| delivered);
    let onward = Onward::to(state, BEFORE);
    let onward = match to.clone() {
        Some(number) => onward.arrived(number, gateway.clone()),
        None => onward,
    };
    if hear(app, tenant, &entry, delivery, onward).await? {
        app.metrics.text(state);
        if let Some(number) = &to {
            app.metrics.arrived(number);
        }
    }
    Ok(())
}

/// Moves the text on, with its method if that hears it; false if another receipt came first.
async fn hear(
    app: &App,
    tenant: &TenantId,
    entry: &OutboxEntry,
    delivery: Delivery,
    onward: Onward,
) -> Result<bool, FlowError> {
    // Of an error the gateway hears, and tells it again.
    match outbox::tell(app, tenant, entry, Event::TextSent(delivery), onward.clone()).await? {
        Told::Method => Ok(true),
        Told::Nobody => Ok(outbox::go_on(app, tenant, entry, onward).await?),
    }
}

async fn find(
    app: &App,
    tenant: &TenantId,
    gateway: &GatewayId,
    about: About<'_>,
) -> Result<Option<OutboxEntry>, FlowError> {
    let storage = app.storage.of(tenant);
    let entry = match about {
        About::Text(id) => storage.outbox_entry(id).await?,
        About::Reference(reference) => by_reference(&storage, gateway, reference).await?,
    };
    Ok(entry.filter(|entry| entry.kind == OutboxKind::Text && entry.gateway.as_ref() == Some(gateway)))
}

async fn by_reference(
    storage: &TenantStorage,
    gateway: &GatewayId,
    reference: &str,
) -> Result<Option<OutboxEntry>, FlowError> {
    for pause in limits::RECEIPT_PAUSES {
        time::sleep(pause).await;
        if let Some(entry) = storage.outbox_by_reference(gateway, reference).await? {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}
