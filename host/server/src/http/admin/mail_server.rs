//! The mail server of a tenant. Its password is write-only.

use std::{fmt::Display, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_core::{
    mail::Template,
    row::{MailServer, Security},
    seal::Purpose,
};
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode, id::TenantId};
use switchhook_storage::{StorageError, StoredMailServer};
use utoipa::ToSchema;

use super::{OfTenant, schemas};
use crate::{
    app::App,
    http::{extract::Body, problem::Problem},
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMailServer {
    /// Its name or address.
    host: String,
    /// Its port: mostly 465 with `tls`, 587 with `starttls`.
    port: u16,
    #[serde(default)]
    #[schema(value_type = Option<schemas::Security>)]
    security: Security,
    /// Who signs in; none: nobody has to.
    #[serde(default)]
    user: Option<String>,
    /// The user's password. Without it, the one that is there stays, as long as server and user do.
    #[serde(default)]
    password: Option<String>,
    /// The address that mails come from.
    #[schema(value_type = String)]
    sender: EndpointId,
    /// How mail programs name the sender.
    #[serde(default)]
    sender_name: String,
    /// What a mail with a link says; by default a few English sentences.
    #[serde(default)]
    #[schema(value_type = Option<schemas::MailTemplate>)]
    template: Template,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailServer)]
pub(crate) struct Shown {
    host: String,
    port: u16,
    #[schema(value_type = schemas::Security)]
    security: Security,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The address that mails come from.
    sender: String,
    sender_name: String,
    #[schema(value_type = schemas::MailTemplate)]
    template: Template,
}

/// Sets the mail server.
#[utoipa::path(put, path = "/tenants/{tenant}/mail-server", operation_id = "put_mail_server",
    request_body = NewMailServer,
    responses((status = OK, body = Shown, description = "The mail server, without its password.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
    Body(new): Body<NewMailServer>,
) -> Result<Json<Shown>, Problem> {
    let NewMailServer { host, port, security, user, password, sender, sender_name, template } = new;
    let server = MailServer { host, port, security, user, sender, sender_name, template };
    let password = match password {
        Some(password) => Some(password),
        None => present_password(&app, &tenant, &server).await?,
    };
    server.check(password.as_deref()).map_err(|why| malformed(&why))?;
    app.gateway_peers.judge_mail_server(&server).map_err(|why| malformed(&why))?;
    if server.template.has_link() && app.web_url.is_none() {
        return Err(malformed(&"links in mails lead to http.web_url, which the settings do not have"));
    }
    let keys = app.keys.of(&tenant);
    let sealed = password.map(|plain| keys.seal_bytes(Purpose::Secret, plain.as_bytes(), &mut app.rng()));
    let row = StoredMailServer { server: server.clone(), password: sealed };
    let now = app.now();
    app.storage
        .of(&tenant)
        .run("mail-server-put", async move |tx| {
            tx.put_mail_server(&row).await?;
            who.note(tx, ("mail-server.put", &row.server.host), now).await
        })
        .await?;
    Ok(Json(shown(server)))
}

/// Shows the mail server.
#[utoipa::path(get, path = "/tenants/{tenant}/mail-server", operation_id = "show_mail_server",
    responses((status = OK, body = Shown, description = "The mail server, without its password.")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<Json<Shown>, Problem> {
    let stored = app.storage.of(&tenant).mail_server().await?.ok_or(ErrorCode::NotFound)?;
    Ok(Json(shown(stored.server)))
}

/// Removes the mail server. Mails that wait for it fail.
#[utoipa::path(delete, path = "/tenants/{tenant}/mail-server", operation_id = "remove_mail_server",
    responses((status = NO_CONTENT, description = "It is gone.")))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
) -> Result<StatusCode, Problem> {
    let now = app.now();
    let removed = app
        .storage
        .of(&tenant)
        .run("mail-server-remove", async move |tx| {
            let removed = tx.remove_mail_server().await?;
            if removed {
                who.note(tx, ("mail-server.remove", ""), now).await?;
            }
            Ok::<_, StorageError>(removed)
        })
        .await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(ErrorCode::NotFound.into()) }
}

/// The password that is there, if it goes on to where it went before: who sets a server does not learn by it what
/// nobody is shown.
async fn present_password(
    app: &App,
    tenant: &TenantId,
    server: &MailServer,
) -> Result<Option<String>, Problem> {
    let present = app.storage.of(tenant).mail_server().await?;
    let sealed = present.filter(|present| server.leads_where(&present.server)).and_then(|row| row.password);
    let opened = sealed.and_then(|sealed| app.keys.of(tenant).open_bytes(Purpose::Secret, &sealed).ok());
    Ok(opened.and_then(|password| String::from_utf8(password).ok()))
}

fn shown(server: MailServer) -> Shown {
    let MailServer { host, port, security, user, sender, sender_name, template } = server;
    Shown { host, port, security, user, sender: sender.reveal().to_owned(), sender_name, template }
}

fn malformed(why: &dyn Display) -> Problem {
    Problem::new(ErrorCode::Malformed, why.to_string())
}
