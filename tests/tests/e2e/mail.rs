//! Addresses that are proven by a link in a mail, over a mail server of others.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use reqwest::{
    Client, Method, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, REFERRER_POLICY},
};
use serde_json::{Value, json};
use switchhook_built_guests as guests;
use switchhook_client::CallError;
use switchhook_core::{registration::link, row::SecretKind};
use switchhook_protocol::{
    error::ErrorCode,
    registration::{RegisterBegin, RegisterLink, RegistrationProgress},
    time::Timestamp,
};
use switchhook_server::{DEFAULT_TENANT, Settings};
use switchhook_tests::{
    admin::Admin,
    host::Host,
    phone::{Phone, refusal},
    smtp::{SENDER, Smtp, WEB_URL},
    waiting::{in_time, until},
};

const BOB: &str = "bob@example.com";
const ANNE: &str = "anne@example.com";

/// A host whose tenant registers by mail.
pub(crate) struct Desk {
    pub(crate) host: Host,
    pub(crate) smtp: Smtp,
}

/// REG-7
#[tokio::test]
async fn reg_8_a_link_is_confirmed_by_its_pages_button_and_by_no_prefetch() -> Result<()> {
    let test = "reg_8_a_link_is_confirmed_by_its_pages_button_and_by_no_prefetch";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    let phone = desk.host.stranger().await?;
    ensure!(matches!(begin(&phone, BOB).await??, RegistrationProgress::Pending { .. }));

    let mail = desk.smtp.next_mail().await?;
    ensure!(mail.from == SENDER && mail.to == [BOB] && mail.user.is_none(), "{mail:?}");
    ensure!(mail.header("From") == Some(&format!("Acme <{SENDER}>")) && mail.header("To") == Some(BOB));
    ensure!(mail.header("Auto-Submitted") == Some("auto-generated"));
    let token = mail.token()?;
    let link = format!("{WEB_URL}/v1/{DEFAULT_TENANT}/links/{token}");
    ensure!(mail.text()?.contains(&link), "{}", mail.raw);

    for _ in 0..2 {
        let (status, headers, page) = desk.browse(Method::GET, &token).await?;
        ensure!(status == StatusCode::OK && page.contains("<form method=\"post\">"), "{status} {page}");
        ensure!(!page.contains("<script") && !page.contains(BOB) && !page.contains(&token), "{page}");
        let policy = headers.get(CONTENT_SECURITY_POLICY).context("no policy")?.to_str()?;
        ensure!(policy.starts_with("default-src 'none'") && !policy.contains("script"), "{policy}");
        ensure!(headers.get(REFERRER_POLICY).is_some_and(|policy| policy == "no-referrer"));
        ensure!(headers.get(CACHE_CONTROL).is_some_and(|cache| cache == "no-store"));
    }
    desk.browse(Method::HEAD, &token).await?;
    ensure!(phone.registrations().await?.is_empty(), "looking at it counts");

    let (status, _, page) = desk.browse(Method::POST, &token).await?;
    ensure!(status == StatusCode::OK && page.contains("is confirmed"), "{status} {page}");
    ensure!(phone.registrations().await? == [BOB.parse()?]);

    for method in [Method::POST, Method::GET] {
        let (status, _, page) = desk.browse(method, &token).await?;
        ensure!(status == StatusCode::GONE && page.contains("was used before"), "{status} {page}");
    }
    ensure!(phone.registrations().await? == [BOB.parse()?]);
    Ok(())
}

#[tokio::test]
async fn reg_8_a_client_posts_the_token_of_its_own_mail_and_of_no_other() -> Result<()> {
    let test = "reg_8_a_client_posts_the_token_of_its_own_mail_and_of_no_other";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    let (phone, stranger) = (desk.host.stranger().await?, desk.host.stranger().await?);
    begin(&phone, BOB).await??;
    let bobs = desk.smtp.next_mail().await?.token()?;
    begin(&phone, ANNE).await??;
    let annes = desk.smtp.next_mail().await?.token()?;

    let flipped = bobs.replacen(&bobs[40..41], if &bobs[40..41] == "A" { "B" } else { "A" }, 1);
    for (who, address, token) in [
        (&phone, BOB, annes.as_str()),
        (&stranger, BOB, &bobs),
        (&phone, BOB, &flipped),
        (&phone, BOB, "nonsense"),
        (&phone, BOB, ""),
    ] {
        let refused = refusal(post(who, address, token).await?)?;
        ensure!(refused == ErrorCode::RegistrationMismatch, "{refused}");
    }
    ensure!(phone.registrations().await?.is_empty() && stranger.registrations().await?.is_empty());

    let posted = post(&phone, BOB, &bobs).await??;
    ensure!(posted == RegistrationProgress::Registered { endpoint: BOB.parse()? }, "{posted:?}");
    ensure!(refusal(post(&phone, BOB, &bobs).await?)? == ErrorCode::LinkUsed);
    ensure!(phone.registrations().await? == [BOB.parse()?]);
    Ok(())
}

#[tokio::test]
async fn reg_18_a_program_of_others_posts_address_and_token() -> Result<()> {
    let test = "reg_18_a_program_of_others_posts_address_and_token";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    let phone = desk.host.stranger().await?;
    begin(&phone, BOB).await??;
    let token = desk.smtp.next_mail().await?.token()?;

    let (status, body) = desk.post_json(ANNE, &token).await?;
    ensure!(status == StatusCode::UNPROCESSABLE_ENTITY && body["code"] == "registration-mismatch", "{body}");
    let (status, body) = desk.post_json(BOB, &token).await?;
    ensure!(status == StatusCode::OK && body == json!({ "address": BOB }), "{status} {body}");
    let (status, body) = desk.post_json(BOB, &token).await?;
    ensure!(status == StatusCode::GONE && body["code"] == "link-used", "{status} {body}");
    ensure!(phone.registrations().await? == [BOB.parse()?]);
    Ok(())
}

#[tokio::test]
async fn reg_8_another_tenants_token_and_a_late_one_change_nothing() -> Result<()> {
    let test = "reg_8_another_tenants_token_and_a_late_one_change_nothing";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    desk.host.admin.at("other").create_tenant().await?;
    let phone = desk.host.stranger().await?;
    begin(&phone, BOB).await??;
    let token = desk.smtp.next_mail().await?.token()?;

    for method in [Method::GET, Method::POST] {
        let url = format!("http://{}/v1/other/links/{token}", desk.host.addresses().http);
        let answer = Client::new().request(method, url).send().await?;
        ensure!(answer.status() == StatusCode::UNPROCESSABLE_ENTITY);
        let kind = answer.headers().get(CONTENT_TYPE).context("no type")?;
        ensure!(kind == "application/problem+json", "{kind:?}");
    }
    let id = link::record_id(&token).unwrap();
    desk.host
        .restart(async move |storage| {
            let mut secret = storage.secret(&id, SecretKind::Link).await?.context("no record")?;
            secret.expires_at = Timestamp::from_millis(1);
            Ok(storage.run("test", async move |tx| tx.put_secret(&secret).await).await?)
        })
        .await?;
    for method in [Method::GET, Method::POST] {
        let (status, _, page) = desk.browse(method, &token).await?;
        ensure!(status == StatusCode::GONE && page.contains("too old"), "{status} {page}");
    }
    let found = until("sync", async || Ok(phone.registrations().await.ok())).await?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn reg_7_a_mail_that_its_server_refuses_has_failed() -> Result<()> {
    let test = "reg_7_a_mail_that_its_server_refuses_has_failed";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    let phone = desk.host.stranger().await?;
    let failed = "switchhook_mails_total{outcome=\"failed\"}";
    for (count, (what, how)) in [(1.0, ("recipient", json!(550))), (2.0, ("answer", json!(552)))] {
        desk.smtp.tell(&json!({ "recipient": null })).await?;
        desk.smtp.tell(&json!({ what: how })).await?;
        begin(&phone, BOB).await??;
        until("the failure", async || {
            Ok(desk.host.admin.metric(failed).await?.filter(|failures| *failures >= count))
        })
        .await?;
    }
    ensure!(desk.in_doubt().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn reg_7_what_would_add_a_header_or_is_no_address_is_refused_and_nothing_is_stored() -> Result<()> {
    let test = "reg_7_what_would_add_a_header_or_is_no_address_is_refused_and_nothing_is_stored";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    let phone = desk.host.stranger().await?;
    // What a method does wrong stands in its log.
    let stored = async || {
        let mut rows = desk.host.stored().await?;
        rows.remove("plugin_lines");
        Ok::<_, anyhow::Error>(rows)
    };
    let before = stored().await?;

    let injected = "Hello\r\nBcc: all@example.org";
    let long = format!("bob@{}example.com", "a-label-of-20-letters.".repeat(12));
    let mixed = "bob@ex\u{430}mple.com";
    let header = format!("bob\r\nBcc: x@{}", "example.com");
    let long_local = format!("{}@example.com", "b".repeat(65));
    for fields in [
        vec![("address", BOB), ("subject", injected)],
        vec![("address", long.as_str())],
        vec![("address", mixed)],
        vec![("address", long_local.as_str())],
        vec![("address", "bob@xn--a")],
        vec![("address", "bob@exa_mple.org")],
        vec![("address", header.as_str())],
        vec![("address", "+15550100")],
    ] {
        let refused = refusal(begin_with(&phone, &fields).await?)?;
        ensure!(refused == ErrorCode::RegistrationRefused, "{fields:?}: {refused}");
    }
    let after = stored().await?;
    ensure!(after == before, "something is stored: {before:?}, {after:?}");

    for (member, value) in [
        ("sender_name", json!(injected)),
        ("sender", json!("no-reply@acme.example\r\nBcc: all@example.org")),
        ("template", json!({ "subject": injected, "text": "{link}" })),
        ("template", json!({ "subject": "Hello", "text": "Welcome" })),
        ("host", json!("smtp.example\r\nBcc")),
        ("user", json!("nobody-has-a-password")),
        ("unknown", json!(true)),
    ] {
        let mut settings = desk.smtp.settings();
        settings[member] = value;
        let (status, body) = desk.host.admin.ask_tenant(Method::PUT, "mail-server", Some(&settings)).await?;
        ensure!(
            status == StatusCode::BAD_REQUEST && body["code"] == "malformed",
            "{member}: {status} {body}"
        );
    }

    begin_with(&phone, &[("address", BOB), ("subject", "Grüße: Bcc: all@example.org")]).await??;
    let mail = desk.smtp.next_mail().await?;
    ensure!(mail.to == [BOB] && mail.header("Bcc").is_none(), "{}", mail.raw);
    Ok(())
}

#[tokio::test]
async fn reg_7_mails_are_few_and_who_asks_too_often_is_told_how_long_to_wait() -> Result<()> {
    let test = "reg_7_mails_are_few_and_who_asks_too_often_is_told_how_long_to_wait";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    let phone = desk.host.stranger().await?;
    for _ in 0..5 {
        begin(&phone, BOB).await??;
        desk.smtp.next_mail().await?;
    }
    match begin(&phone, BOB).await? {
        Err(CallError::Refused(body)) => {
            ensure!(body.code == ErrorCode::RateLimited && body.retry_after_ms > Some(60_000), "{body:?}");
        }
        other => anyhow::bail!("{other:?}"),
    }
    begin(&phone, ANNE).await??;
    ensure!(desk.smtp.next_mail().await?.to == [ANNE]);
    Ok(())
}

#[tokio::test]
async fn reg_7_without_a_mail_server_nobody_is_mailed_and_nothing_is_stored() -> Result<()> {
    let host = host(None).await?;
    install(&host.admin).await?;
    // That of the sandbox, which the first tenant has.
    let (status, _) = host.admin.ask_tenant(Method::DELETE, "mail-server", None).await?;
    ensure!(status.is_success(), "{status}");
    let phone = host.stranger().await?;
    let before = host.stored().await?;
    ensure!(refusal(begin(&phone, BOB).await?)? == ErrorCode::NoMailServer);
    ensure!(host.stored().await? == before, "something is stored");
    let (status, _) = host.admin.ask_tenant(Method::GET, "mail-server", None).await?;
    ensure!(status == StatusCode::NOT_FOUND, "{status}");
    Ok(())
}

impl Desk {
    /// A host with a mail server beside it; none where that cannot run.
    pub(crate) async fn start(test: &str) -> Result<Option<Self>> {
        Self::with(test, |_| {}).await
    }

    /// The same with these settings of the host changed.
    pub(crate) async fn with(test: &str, change: impl FnOnce(&mut Settings)) -> Result<Option<Self>> {
        let Some(smtp) = Smtp::start(test).await? else { return Ok(None) };
        let host = Host::with(|settings| {
            settings.http.web_url = WEB_URL.to_owned().try_into().ok();
            change(settings);
        })
        .await?;
        install(&host.admin).await?;
        smtp.connect(&host.admin).await?;
        Ok(Some(Self { host, smtp }))
    }

    /// Opens a link as a browser does.
    pub(crate) async fn browse(
        &self,
        method: Method,
        token: &str,
    ) -> Result<(StatusCode, HeaderMap, String)> {
        let url = format!("http://{}/v1/{DEFAULT_TENANT}/links/{token}", self.host.addresses().http);
        let request = Client::new().request(method, url).header(ACCEPT, "text/html,*/*;q=0.8");
        let answer = in_time("the page", request.send()).await??;
        Ok((answer.status(), answer.headers().clone(), answer.text().await?))
    }

    /// Address and token, as a program posts them.
    pub(crate) async fn post_json(&self, address: &str, token: &str) -> Result<(StatusCode, Value)> {
        let url = format!("http://{}/v1/{DEFAULT_TENANT}/links", self.host.addresses().http);
        let body = json!({ "address": address, "token": token });
        let answer = in_time("the answer", Client::new().post(url).json(&body).send()).await??;
        Ok((answer.status(), answer.json().await?))
    }

    /// Ids of the mails in doubt.
    pub(crate) async fn in_doubt(&self) -> Result<Vec<String>> {
        let mails = self.host.admin.get("mails/in-doubt").await?;
        let ids = mails.as_array().into_iter().flatten().filter_map(|mail| mail["mail"].as_str());
        Ok(ids.map(str::to_owned).collect())
    }
}

/// A host that knows where links lead, and whose operator trusts this authority (PEM) of mail servers.
pub(crate) async fn host(authority: Option<&str>) -> Result<Host> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.unwrap_or_default())?;
    Host::with(|settings| {
        settings.http.web_url = WEB_URL.to_owned().try_into().ok();
        settings.mail.authorities = authority.map(|_| file);
    })
    .await
}

/// Makes the guest that mails links a method of the tenant.
pub(crate) async fn install(admin: &Admin) -> Result<()> {
    let method = "registration-method/mails";
    let (status, uploaded) = admin.upload(method, guests::MAILS.to_vec()).await?;
    ensure!(status.is_success(), "{status} {uploaded}");
    let active = json!({ "version": uploaded["version"], "configuration": {} });
    admin.changed(method, "activate", &active).await?;
    Ok(())
}

pub(crate) async fn begin(phone: &Phone, address: &str) -> Result<Result<RegistrationProgress, CallError>> {
    begin_with(phone, &[("address", address)]).await
}

async fn begin_with(
    phone: &Phone,
    fields: &[(&str, &str)],
) -> Result<Result<RegistrationProgress, CallError>> {
    let fields: BTreeMap<_, _> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let begin = RegisterBegin { method: "mails".parse()?, fields };
    in_time("the answer", phone.client.register_begin(&begin)).await
}

pub(crate) async fn post(
    phone: &Phone,
    address: &str,
    token: &str,
) -> Result<Result<RegistrationProgress, CallError>> {
    let request = RegisterLink { address: address.parse()?, token: token.to_owned() };
    in_time("the answer", phone.client.register_link(&request)).await
}
