//! Asking a tenant's own services, within what the plugin is granted.

use std::time::Duration;

use futures_util::future::join_all;
use switchhook_core::policy::{Answer, Grants, Request};
use switchhook_delivery::{OutboundError, OutboundRequest};
use switchhook_protocol::id::TenantId;

use crate::{app::App, rates::Rate};

/// For whom a service is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) grants: &'a Grants,
    /// The same on every try: the service that keeps keys acts once.
    pub(crate) key: &'a str,
}

/// Why there is no answer; the words reach the plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("more requests than granted")]
    Quota,
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

impl Unanswered {
    /// Whether it is worth another try.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Quota => false,
            Self::Outbound(error) => error.is_passing(),
        }
    }
}

/// Asks once.
pub(crate) async fn ask(
    app: &App,
    asking: Asking<'_>,
    mut request: OutboundRequest,
) -> Result<Vec<u8>, Unanswered> {
    // Who is granted nothing is told that, by whoever asks the host.
    if !asking.grants.outbound.is_empty() {
        let rate = Rate::per_minute(asking.grants.fetches_per_minute);
        app.fetch_rates.take_at(rate, asking.tenant, app.now()).or(Err(Unanswered::Quota))?;
    }
    request.headers.push(("idempotency-key", asking.key.to_owned()));
    Ok(app.outbound.ask(request, asking.grants).await?)
}

/// Asks a round of a decision, all side by side, and gives every answer there is by then.
pub(crate) async fn round(
    app: &App,
    asking: Asking<'_>,
    requests: Vec<Request>,
    deadline: Duration,
) -> Vec<Answer> {
    let asked = requests.into_iter().map(|Request { id, url, body }| async move {
        let key = format!("{}-{id}", asking.key);
        let request = OutboundRequest { url, body, headers: vec![], deadline };
        let answered = ask(app, Asking { key: &key, ..asking }, request).await;
        Answer { id, outcome: answered.map_err(|unanswered| unanswered.to_string()) }
    });
    join_all(asked).await
}
