//! A tenant's own service in a slot: a webhook whose answers a test writes.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use axum::{Json, Router, http::HeaderMap, routing::post};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_core::transit::verify;
use tokio::net::TcpListener;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::{admin::Admin, host::Host, waiting::now};

/// What the service and the host share.
pub const SECRET: &str = "a secret of the tenant's own";

/// A service; it ends when dropped.
#[derive(Debug)]
pub struct Service {
    /// Where it is asked.
    pub url: String,
    _serving: AbortOnDropHandle<()>,
}

impl Service {
    /// Answers what is signed by the secret, as the test says; anything else is unauthorized.
    pub async fn start(answer: impl Fn(&Value) -> Value + Clone + Send + Sync + 'static) -> Result<Self> {
        let answer = async move |headers: HeaderMap, body: String| {
            if !is_signed(&headers, &body) {
                return (StatusCode::UNAUTHORIZED, Json(json!({})));
            }
            let asked = serde_json::from_str(&body).unwrap_or_default();
            (StatusCode::OK, Json(answer(&asked)))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://localhost:{}/policy", listener.local_addr()?.port());
        let router = Router::new().route("/policy", post(answer));
        let serving =
            TaskTracker::new().spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { url, _serving: AbortOnDropHandle::new(serving) })
    }

    /// What is uploaded for it.
    pub fn upload(&self) -> Value {
        json!({ "webhook": { "url": self.url, "secret": SECRET } })
    }

    /// Uploads and activates it as a plugin of the first tenant.
    pub async fn install(&self, host: &Host, plugin: &str) -> Result<()> {
        self.install_by(&host.admin, plugin).await
    }

    /// The same, as an administrator does.
    pub async fn install_by(&self, admin: &Admin, plugin: &str) -> Result<()> {
        let path = format!("plugins/{plugin}/versions");
        let (status, report) = admin.ask_tenant(Method::POST, &path, Some(&self.upload())).await?;
        ensure!(status == StatusCode::CREATED, "{status} {report}");
        admin.changed(plugin, "activate", &json!({ "version": 1 })).await?;
        Ok(())
    }
}

fn is_signed(headers: &HeaderMap, body: &str) -> bool {
    let signature = headers.get("switchhook-signature").and_then(|signature| signature.to_str().ok());
    signature.is_some_and(|signature| verify(SECRET.as_bytes(), body.as_bytes(), signature, now()).is_ok())
}
