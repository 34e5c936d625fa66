//! A tenant's own service in a slot: asked by one signed request, at an address that is judged like any other of
//! the tenant's services.

use std::{fmt, time::Duration};

use reqwest::Url;
use serde::{Deserialize, Serialize};
use switchhook_core::{
    policy::Grants,
    seal::Purpose,
    transit::{SIGNATURE_HEADER, sign},
};
use switchhook_delivery::{Outbound, OutboundRequest};
use switchhook_plugin_runtime::{Carried, Digest, Transport};
use switchhook_protocol::id::TenantId;

use crate::{app::App, clock, limits};

/// Where a webhook is, and the secret that requests to it are signed under.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    pub(crate) secret: String,
}

/// Why a webhook cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidWebhook {
    #[error("its address is none of the web, or longer than {} bytes", limits::WEBHOOK_URL)]
    Url,
    #[error(
        "its secret has less than {} or more than {} bytes",
        limits::WEBHOOK_SECRET_LEAST,
        limits::SECRET
    )]
    Secret,
    #[error("it cannot be opened")]
    Sealed,
}

impl Webhook {
    /// Names the first rule that it breaks.
    pub(crate) fn check(&self) -> Result<(), InvalidWebhook> {
        if self.url.len() > limits::WEBHOOK_URL || self.grants().is_none() {
            return Err(InvalidWebhook::Url);
        }
        if !(limits::WEBHOOK_SECRET_LEAST..=limits::SECRET).contains(&self.secret.len()) {
            return Err(InvalidWebhook::Secret);
        }
        Ok(())
    }

    /// Of its address: who moves it makes another version.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.url.as_bytes())
    }

    pub(crate) fn seal(&self, app: &App, tenant: &TenantId) -> Vec<u8> {
        // Two texts: there is nothing in it that JSON does not have.
        let plain = serde_json::to_vec(self).unwrap_or_default();
        app.keys.of(tenant).seal_bytes(Purpose::Secret, &plain, &mut app.rng())
    }

    pub(crate) fn open(app: &App, tenant: &TenantId, sealed: &[u8]) -> Result<Self, InvalidWebhook> {
        let plain =
            app.keys.of(tenant).open_bytes(Purpose::Secret, sealed).or(Err(InvalidWebhook::Sealed))?;
        serde_json::from_slice(&plain).or(Err(InvalidWebhook::Sealed))
    }

    /// Ready to be asked.
    pub(crate) fn asker(self, outbound: &Outbound) -> Asker {
        let grants = self.grants().unwrap_or_default();
        Asker { webhook: self, grants, outbound: outbound.clone() }
    }

    /// Whoever names a webhook grants its host, and no other by a redirect.
    fn grants(&self) -> Option<Grants> {
        let url = Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let host = url.host_str()?;
        let pattern = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let grants = Grants { outbound: vec![pattern], fetches_per_minute: 1, ..Grants::default() };
        grants.check().is_ok().then_some(grants)
    }
}

/// Asks a webhook.
pub(crate) struct Asker {
    webhook: Webhook,
    grants: Grants,
    outbound: Outbound,
}

impl Transport for Asker {
    fn ask(&self, question: Vec<u8>, deadline: Duration) -> Carried<'_> {
        let signature = sign(self.webhook.secret.as_bytes(), &question, clock::now());
        let request = OutboundRequest {
            url: self.webhook.url.clone(),
            body: question,
            headers: vec![(SIGNATURE_HEADER, signature)],
            deadline,
        };
        Box::pin(async move {
            self.outbound.ask(request, &self.grants).await.map_err(|unanswered| unanswered.to_string())
        })
    }
}

/// Masked: it holds a secret.
impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").field("url", &self.webhook.url).finish_non_exhaustive()
    }
}

/// Masked likewise.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_web_and_a_long_secret_are_a_webhook() {
        let webhook = |url: &str, secret: &str| Webhook { url: url.to_owned(), secret: secret.to_owned() };
        let long = "0123456789abcdef";

        assert!(webhook("https://policy.acme.test/route?x=1", long).check().is_ok());
        assert!(webhook("http://127.0.0.1:8080/", long).check().is_ok());
        assert!(matches!(webhook("ftp://acme.test/", long).check(), Err(InvalidWebhook::Url)));
        assert!(matches!(webhook("acme.test", long).check(), Err(InvalidWebhook::Url)));
        assert!(matches!(webhook("https://acme.test/", "short").check(), Err(InvalidWebhook::Secret)));
    }

    #[test]
    fn its_secret_is_not_printed() {
        let webhook = Webhook { url: "https://a.test/".to_owned(), secret: "hush-hush".to_owned() };
        assert!(!format!("{webhook:?}").contains("hush"));
    }
}
