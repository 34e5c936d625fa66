//! Mails: at most once.
//!
//! A mail is handed to its tenant's mail server, and its method hears what the server made of it. As with texts, a
//! process that dies in between leaves it *performing*: that is *in doubt*, reported, and sent again only on request.
//! What surely never left is tried again a few times: a mail server that restarts is back by then.

use switchhook_core::{
    mail::{Filling, Rendered},
    policy::registration::{Delivery, Event},
    registration::perform::{MailContent, OutgoingMail, open_mail},
    row::{MailServer, OutboxEntry, OutboxState},
    seal::Purpose,
};
use switchhook_delivery::{NewMail, Sent};
use switchhook_protocol::id::TenantId;
use switchhook_storage::{StorageError, StoredMailServer};
use tokio::time;
use tracing::{info, warn};

use super::{conclude, read_later};
use crate::{app::App, fail_point, http::links, limits};

/// A mail that can be sent, and by what.
struct Ready {
    server: MailServer,
    password: Option<String>,
    mail: OutgoingMail,
    words: Rendered,
}

pub(super) async fn perform(app: &App, tenant: &TenantId, entry: &OutboxEntry) {
    let ready = loop {
        match load(app, tenant, entry).await {
            Ok(ready) => break ready,
            Err(trouble) if read_later(app, tenant, entry, &trouble).await => {}
            Err(_) => return,
        }
    };
    fail_point("effect.send-mail.before");
    let sent = match &ready {
        Some(ready) => send(app, entry, ready).await,
        None => Sent::NotReached,
    };
    fail_point("effect.send-mail.after");
    info!(tenant.id = %tenant, mail.id = %entry.id, outcome = ?sent, "a mail was handed to its server");
    let (state, delivery) = match sent {
        Sent::Taken { .. } => (OutboxState::Sent, Delivery::Sent),
        Sent::Refused(_) | Sent::NotReached => (OutboxState::Failed, Delivery::Failed),
        Sent::InDoubt => (OutboxState::InDoubt, Delivery::InDoubt),
    };
    app.metrics.mail(state);
    conclude(app, tenant, entry, Some(Event::MailSent(delivery)), state).await;
}

async fn send(app: &App, entry: &OutboxEntry, ready: &Ready) -> Sent {
    let token = match &ready.mail.content {
        MailContent::Link { token } => Some(token.as_str()),
        MailContent::Text { .. } => None,
    };
    let mail = NewMail {
        id: &entry.id,
        to: &ready.mail.to,
        subject: &ready.words.subject,
        text: &ready.words.text,
        token,
        at: app.now(),
    };
    let mut sent = Sent::NotReached;
    for pause in limits::MAIL_PAUSES {
        time::sleep(pause).await;
        sent = Box::pin(app.mails.send(&ready.server, ready.password.as_deref(), &mail)).await;
        let passing = matches!(sent, Sent::NotReached | Sent::Refused(400..500));
        if !passing {
            break;
        }
    }
    sent
}

/// The mail with its words and its server; none if one of them is gone.
async fn load(app: &App, tenant: &TenantId, entry: &OutboxEntry) -> Result<Option<Ready>, StorageError> {
    let stored = app.storage.of(tenant).mail_server().await?;
    Ok(stored.and_then(|stored| prepare(app, tenant, entry, stored)))
}

fn prepare(app: &App, tenant: &TenantId, entry: &OutboxEntry, stored: StoredMailServer) -> Option<Ready> {
    let keys = app.keys.of(tenant);
    let mail = open_mail(&keys, &entry.payload)?;
    let password = match &stored.password {
        Some(sealed) => {
            let opened = keys.open_bytes(Purpose::Secret, sealed).ok()?;
            Some(String::from_utf8(opened).ok()?)
        }
        None => None,
    };
    let words = words(app, tenant, &stored.server, &mail)?;
    Some(Ready { server: stored.server, password, mail, words })
}

/// What the mail says; none if it has a link and the settings do not say where links lead.
fn words(app: &App, tenant: &TenantId, server: &MailServer, mail: &OutgoingMail) -> Option<Rendered> {
    match &mail.content {
        MailContent::Text { subject, text } => {
            Some(Rendered { subject: subject.clone(), text: text.clone() })
        }
        MailContent::Link { token } => {
            let link = app.web_url.as_ref().map(|url| links::url(url, tenant, token));
            if link.is_none() && server.template.has_link() {
                warn!(tenant.id = %tenant, "a mail is not sent: its link needs http.web_url in the settings");
                return None;
            }
            let link = link.unwrap_or_default();
            Some(server.template.render(Filling { link: &link, token, address: &mail.to }))
        }
    }
}
