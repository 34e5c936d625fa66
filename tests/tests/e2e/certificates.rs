//! Tenants that take only devices with a certificate of their own authority (INV-16).

use std::process::Stdio;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use switchhook_tests::{certificates::Authority, python::Python, signed::with};
use tokio::process::Command;

use crate::tls::{PROGRAM, Secured};

/// INV-16.certificate
#[tokio::test]
async fn a_tenant_takes_only_devices_of_its_authority_and_another_takes_all() -> Result<()> {
    let Some(python) = Python::of("a_tenant_takes_only_devices_of_its_authority") else { return Ok(()) };
    let secured = Secured::asking().await?;
    command(&secured, &["create", "acme"]).await?;
    let (own, foreign) = (Authority::new("of acme")?, Authority::new("of nobody")?);
    let file = secured.folder.path().join("acme.pem");
    std::fs::write(&file, own.pem())?;
    command(&secured, &["client-authority", "set", "acme", &file.to_string_lossy()]).await?;

    let device = own.device("phone-1")?;
    for version in ["TLSv1_2", "TLSv1_3"] {
        let opened = async |tenant: &str, shown: &Value| {
            let asked = with(secured.asked(&secured.authority)?, &json!({ "version": version }));
            let url = format!("wss://localhost:{}/v1/{tenant}/connect", secured.port());
            python.run("tls_client.py", &with(with(asked, &json!({ "url": url })), shown)).await
        };
        let said = opened("acme", &shown(&secured, &device)?).await?;
        assert_eq!(said["message"]["type"], "challenge", "{said}");
        for none in [
            json!({}),
            shown(&secured, &foreign.device("phone-1")?)?,
            shown(&secured, &own.server()?)?,
            shown(&secured, &own.former_device("phone-1")?)?,
        ] {
            let said = opened("acme", &none).await?;
            assert_eq!((&said["status"], code(&said)), (&json!(403), "certificate-required"), "{said}");
            // Who wants no certificate takes no notice of one.
            let said = opened("default", &none).await?;
            assert_eq!(said["message"]["type"], "challenge", "{said}");
        }
    }
    Ok(())
}

/// INV-16.certificate
#[tokio::test]
async fn a_signed_request_needs_the_certificate_too_until_the_authority_is_removed() -> Result<()> {
    let Some(python) = Python::of("a_signed_request_needs_the_certificate_too") else { return Ok(()) };
    let secured = Secured::asking().await?;
    let own = Authority::new("of the tenant")?;
    let file = secured.folder.path().join("own.pem");
    std::fs::write(&file, own.pem())?;
    command(&secured, &["client-authority", "set", "default", &file.to_string_lossy()]).await?;
    let shown = command(&secured, &["client-authority", "show", "default"]).await?;
    assert_eq!(shown["certificates"], own.pem());

    let url = format!("https://localhost:{}/v1/default/requests/sync", secured.port());
    let authority = &secured.asked(&secured.authority)?["authority"];
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE";
    let bare = json!({ "url": url, "authority": authority, "body": "{}", "device": "nobody", "key": key });
    let files = own.device("phone-1")?.write(secured.folder.path(), "phone")?;
    let named =
        with(bare.clone(), &json!({ "certificate": files.certificate, "certificate_key": files.key }));
    let asked = json!([bare, named]);
    let codes = async || {
        let answers = python.run("signed_request.py", &asked).await?;
        let codes =
            answers.as_array().map(|answers| answers.iter().map(|it| it["body"]["code"].clone()).collect());
        anyhow::Ok(codes.unwrap_or(Value::Null))
    };

    // Nobody's device has nobody's key; without a certificate it does not come so far.
    assert_eq!(codes().await?, json!(["certificate-required", "bad-signature"]));
    command(&secured, &["client-authority", "remove", "default"]).await?;
    assert_eq!(codes().await?, json!(["bad-signature", "bad-signature"]));
    Ok(())
}

#[tokio::test]
async fn what_is_no_authority_and_a_server_that_asks_nobody_are_refused() -> Result<()> {
    let secured = Secured::asking().await?;
    let file = secured.folder.path().join("wrong.pem");
    for wrong in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&file, wrong)?;
        let refused =
            command(&secured, &["client-authority", "set", "default", &file.to_string_lossy()]).await;
        assert!(refused.is_err_and(|why| why.to_string().contains("malformed")), "{wrong}");
    }

    let silent = Secured::start().await?;
    std::fs::write(&file, silent.authority.pem())?;
    let refused = command(&silent, &["client-authority", "set", "default", &file.to_string_lossy()]).await;
    assert!(refused.is_err_and(|why| why.to_string().contains("tls.client_certificates")));
    Ok(())
}

/// `switchhook tenant …`; its answer, or what it complains of.
async fn command(secured: &Secured, arguments: &[&str]) -> Result<Value> {
    let asked = secured.asked(&secured.authority)?;
    let authority = asked.get("authority").and_then(Value::as_str).unwrap_or_default();
    let mut command = Command::new(PROGRAM);
    command.arg("tenant").args(arguments).arg("--json").stdin(Stdio::null());
    command.env("SWITCHHOOK_SERVER", format!("https://localhost:{}", secured.port()));
    command.env("SWITCHHOOK_DATA", secured.folder.path().join("data")).env_remove("SWITCHHOOK_TOKEN");
    command.env("SSL_CERT_FILE", authority);
    let output = command.output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What a client shows.
fn shown(secured: &Secured, device: &switchhook_tests::certificates::Certified) -> Result<Value> {
    let files = device.write(secured.folder.path(), "shown")?;
    Ok(json!({ "certificate": files.certificate, "key": files.key }))
}

fn code(said: &Value) -> &str {
    said.pointer("/problem/code").and_then(Value::as_str).unwrap_or_default()
}
