//! What tests of deaths look at, on a server that may die and come back.

use anyhow::{Result, ensure};
use reqwest::{Client, Method, StatusCode};
use switchhook_client::CallError;
use switchhook_protocol::endpoint::EndpointId;
use switchhook_server::DEFAULT_TENANT;
pub(crate) use switchhook_tests::stage::Stage;
use switchhook_tests::{
    phone::Phone,
    waiting::{in_time, until},
};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_switchhook-under-test");

/// What the host has registered for a device, which may only now notice that its connection is lost.
pub(crate) async fn registrations(phone: &Phone) -> Result<Vec<EndpointId>> {
    until("sync", async || match phone.client.sync().await {
        Ok(snapshot) => Ok(Some(snapshot.registrations)),
        Err(CallError::ConnectionLost) => Ok(None),
        Err(error) => Err(error.into()),
    })
    .await
}

/// Ids of the mails in doubt.
pub(crate) async fn mails_in_doubt(stage: &Stage) -> Result<Vec<String>> {
    let mails = until("the list", async || Ok(stage.admin.get("mails/in-doubt").await.ok())).await?;
    let ids = mails.as_array().into_iter().flatten().filter_map(|mail| mail.get("mail")?.as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// An administrator has a mail in doubt sent again.
pub(crate) async fn resend_mail(stage: &Stage, mail: &str) -> Result<()> {
    let (status, _) = stage.admin.ask_tenant(Method::POST, &format!("mails/{mail}/resend"), None).await?;
    ensure!(status == StatusCode::ACCEPTED, "{status}");
    Ok(())
}

/// Presses the button of a link's page.
pub(crate) async fn post_link(stage: &Stage, token: &str) -> Result<StatusCode> {
    let url = format!("http://{}/v1/{DEFAULT_TENANT}/links/{token}", stage.process.http);
    Ok(in_time("the answer", Client::new().post(url).send()).await??.status())
}
