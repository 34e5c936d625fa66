//! An application of others, which registers identifiers for the devices of its users, and has addresses validated
//! (REG-16, REG-18).

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use switchhook_protocol::id::ApplicationId;
use switchhook_server::DEFAULT_TENANT;

use crate::{admin::Admin, phone::Phone, waiting::in_time};

/// An application with a token of the first tenant.
#[derive(Debug)]
pub struct Application {
    http: Client,
    tenant: String,
    name: ApplicationId,
    token: String,
}

impl Application {
    /// One for the application of this device.
    pub async fn of(admin: &Admin, host: SocketAddr, phone: &Phone) -> Result<Self> {
        let asked = json!({ "label": "crm", "application": phone.settings.application });
        let (_, made) = admin.ask_tenant(Method::POST, "tokens", Some(&asked)).await?;
        let token = made.get("token").and_then(Value::as_str).context("no token")?.to_owned();
        let tenant = format!("http://{host}/v1/{DEFAULT_TENANT}");
        Ok(Self { http: Client::new(), tenant, name: phone.settings.application.clone(), token })
    }

    /// Registers an identifier for a device.
    pub async fn register(&self, phone: &Phone, endpoint: &str) -> Result<()> {
        let answer = self.ask(phone, endpoint).await?;
        ensure!(answer.status() == StatusCode::CREATED, "{}", answer.status());
        Ok(())
    }

    /// The same, whatever comes of it; an error says that there was no answer.
    pub async fn ask(&self, phone: &Phone, endpoint: &str) -> Result<Response> {
        let both = json!({
            "application": phone.settings.application,
            "endpoint": endpoint,
            "push_token": phone.identity.push_token.as_str(),
        });
        let request = self.http.post(format!("{}/registrations", self.tenant)).json(&both);
        Ok(in_time("the answer", request.bearer_auth(&self.token).send()).await??)
    }

    /// Has an address validated, under a name (REG-18); the same again asks for the same.
    pub async fn validate(&self, name: &str, address: &str) -> Result<()> {
        let request = self.http.put(self.named(name)).json(&json!({ "address": address }));
        let answer = in_time("the answer", request.bearer_auth(&self.token).send()).await??;
        ensure!(answer.status().is_success(), "{}", answer.status());
        Ok(())
    }

    /// How far a validation is.
    pub async fn validation(&self, name: &str) -> Result<Value> {
        let request = self.http.get(self.named(name)).bearer_auth(&self.token);
        let mut shown: Value =
            in_time("the answer", request.send()).await??.error_for_status()?.json().await?;
        shown.get_mut("state").map(Value::take).context("no state")
    }

    fn named(&self, name: &str) -> String {
        format!("{}/applications/{}/validations/{name}", self.tenant, self.name)
    }
}
