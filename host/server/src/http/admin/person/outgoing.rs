//! What is on its way to a person, or was lately: texts, mails and requests of methods that name them.
//!
//! Entries of the outbox outlive the attempts that they are of by days, and what they say is sealed: no column finds them.
//! So all of the tenant's are opened, page by page. What is queued meanwhile is found by its attempt, which still runs.

use serde::Serialize;
use switchhook_core::{
    policy::registration::Fetch,
    registration::perform::{open_fetch, open_mail, open_outgoing},
    row::{OutboxEntry, OutboxKind},
    seal::KeyRing,
};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{MessageId, TenantId},
    time::Timestamp,
};
use switchhook_storage::StorageError;
use utoipa::ToSchema;

use crate::{app::App, limits, metrics::outcome};

/// A text or mail to the person, or a request that names them. What it says is not shown: it may prove the identifier.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PersonOutgoing)]
pub(super) struct OutgoingShown {
    #[schema(value_type = String)]
    id: MessageId,
    /// `text`, `mail` or `request`.
    kind: &'static str,
    /// `queued`, `performing`, `sent`, `delivered`, `failed` or `in-doubt`.
    state: &'static str,
    #[schema(value_type = u64)]
    queued_at: Timestamp,
}

/// The tenant's entries that name a person.
pub(super) async fn naming(
    app: &App,
    tenant: &TenantId,
    endpoint: &EndpointId,
) -> Result<Vec<OutboxEntry>, StorageError> {
    let (storage, keys) = (app.storage.of(tenant), app.keys.of(tenant));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = storage.outbox_page(after.as_ref(), limits::OUTBOX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.id.clone());
        found.extend(page.into_iter().filter(|entry| names(&keys, entry, endpoint)));
    }
}

fn names(keys: &KeyRing, entry: &OutboxEntry, endpoint: &EndpointId) -> bool {
    match entry.kind {
        OutboxKind::Text => open_outgoing(keys, &entry.payload).is_some_and(|text| text.to == *endpoint),
        OutboxKind::Mail => open_mail(keys, &entry.payload).is_some_and(|mail| mail.to == *endpoint),
        OutboxKind::Fetch => open_fetch(keys, &entry.payload).is_some_and(|fetch| says(&fetch, endpoint)),
    }
}

fn says(fetch: &Fetch, endpoint: &EndpointId) -> bool {
    let name = endpoint.reveal();
    fetch.url.contains(name) || fetch.body.windows(name.len()).any(|part| part == name.as_bytes())
}

impl From<OutboxEntry> for OutgoingShown {
    fn from(entry: OutboxEntry) -> Self {
        let kind = match entry.kind {
            OutboxKind::Text => "text",
            OutboxKind::Mail => "mail",
            OutboxKind::Fetch => "request",
        };
        Self { id: entry.id, kind, state: outcome(entry.state), queued_at: entry.queued_at }
    }
}
