//! Asking a tenant's own services, within what the plugin is granted.

use std::{collections::BTreeMap, mem, string::FromUtf8Error, time::Duration};

use futures_util::future::join_all;
use switchhook_core::{
    policy::{
        Answer, Grants, Request, Slot,
        secret::{self, NoSuchSecret},
    },
    seal::Purpose,
};
use switchhook_delivery::{OutboundError, OutboundRequest};
use switchhook_protocol::id::{MethodName, TenantId};

use crate::{app::App, rates::Rate};

/// For whom a service is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) tenant: &'a TenantId,
    /// The plugin that wants to know, whose secrets its requests may name.
    pub(crate) plugin: (Slot, &'a MethodName),
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
    Secret(#[from] NoSuchSecret),
    #[error("the host cannot read the plugin's secrets")]
    Unreadable,
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

impl Unanswered {
    /// Whether it is worth another try.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Quota | Self::Secret(_) | Self::Unreadable => false,
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
        app.fetch_rates.take(rate, asking.tenant, app.now()).or(Err(Unanswered::Quota))?;
    }
    fill(app, asking, &mut request).await?;
    request.headers.push(("idempotency-key", asking.key.to_owned()));
    Ok(app.outbound.ask(request, asking.grants).await?)
}

/// Puts in the secrets that a request names.
async fn fill(app: &App, asking: Asking<'_>, request: &mut OutboundRequest) -> Result<(), Unanswered> {
    let body = String::from_utf8(mem::take(&mut request.body));
    let in_body = body.as_ref().is_ok_and(|body| secret::names_one(body));
    if secret::names_one(&request.url) || in_body {
        let secrets = secrets(app, asking).await.ok_or(Unanswered::Unreadable)?;
        request.url = secret::fill(&request.url, &secrets)?;
        request.body = match body {
            Ok(body) => secret::fill(&body, &secrets)?.into_bytes(),
            Err(bytes) => bytes.into_bytes(),
        };
    } else {
        request.body = body.map_or_else(FromUtf8Error::into_bytes, String::into_bytes);
    }
    Ok(())
}

async fn secrets(app: &App, asking: Asking<'_>) -> Option<BTreeMap<String, String>> {
    let keys = app.keys.of(asking.tenant);
    let (slot, name) = asking.plugin;
    let rows = app.storage.of(asking.tenant).plugin_secrets(slot, name.as_str()).await.ok()?;
    let open = |(name, sealed): (String, Vec<u8>)| {
        let opened = keys.open_bytes(Purpose::Secret, &sealed).ok()?;
        Some((name, String::from_utf8(opened).ok()?))
    };
    rows.into_iter().map(open).collect()
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
