//! What the first tenant has of the sandbox: its gateway, the number that clients text, and its mail server.

use switchhook_core::{
    mail::Template,
    mint,
    row::{Gateway, MailServer, Provider, Security},
    seal::Purpose,
};
use switchhook_protocol::{carrier::Carrier, error::ErrorCode, id::TenantId};
use switchhook_storage::{StorageError, StoredMailServer};

use super::{MAIL, SEND_URL};
use crate::{app::App, flows::FlowError};

/// The gateway that the first start gives it.
pub const SANDBOX: &str = "sandbox";

/// The short code of the sandbox gateway.
pub const SANDBOX_NUMBER: &str = "70470";

/// Whom the sandbox's mails come from: a name that is nobody's (RFC 2606).
const SENDER: &str = "no-reply@sandbox.example";

/// Gives a tenant all of them; the gateway's secret.
pub(crate) async fn give(app: &App, tenant: &TenantId) -> Result<String, FlowError> {
    let secret = mint::nonce(&mut app.rng());
    let gateway = Gateway {
        id: SANDBOX.parse().or(Err(ErrorCode::Internal))?,
        number: SANDBOX_NUMBER.to_owned(),
        provider: Provider::Webhook { send_url: SEND_URL.to_owned() },
        serves: vec![],
        secret: app.keys.of(tenant).seal_bytes(Purpose::Secret, secret.as_bytes(), &mut app.rng()),
    };
    // Every SIM's.
    let carrier = Carrier { mcc: None, mnc: None, country: None, number: SANDBOX_NUMBER.to_owned() };
    let server = mail_server(app.web_url.is_some())?;
    let storage = app.storage.of(tenant);
    storage
        .run("sandbox-put", async move |tx| {
            tx.put_gateway(&gateway).await?;
            tx.put_carriers(&[carrier]).await?;
            tx.put_mail_server(&StoredMailServer { server, password: None }).await?;
            Ok::<_, StorageError>(())
        })
        .await?;
    Ok(secret)
}

/// Its mails name the link only where the world reaches it.
fn mail_server(has_links: bool) -> Result<MailServer, ErrorCode> {
    let by_token = || {
        Template {
        subject: "Confirm your e-mail address".to_owned(),
        text: "Somebody, probably you, wants to use {address}.\n\nThis token confirms that it is yours:\n\n{token}\n"
            .to_owned(),
    }
    };
    Ok(MailServer {
        host: MAIL.ip().to_string(),
        port: MAIL.port(),
        security: Security::Plain,
        user: None,
        sender: SENDER.parse().or(Err(ErrorCode::Internal))?,
        sender_name: "Sandbox".to_owned(),
        template: if has_links { Template::default() } else { by_token() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_7_the_sandboxs_mail_server_is_one_that_a_tenant_could_set() {
        for has_links in [false, true] {
            let server = mail_server(has_links).unwrap();
            assert_eq!(server.check(None), Ok(()));
            assert_eq!(server.template.has_link(), has_links);
        }
    }
}
