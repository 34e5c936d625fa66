//! The registration store: who is registered where, listed, taken back, handed out and erased (REG-11).

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_client::{CallError, ClientEvent};
use switchhook_protocol::{
    block::Block,
    error::ErrorCode,
    registration::{RegisterAgain, RegisterList, RegisterRevoke},
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, refusal, refused_invite},
    python::Python,
    signed::Signer,
    waiting::{in_time, until},
};

use crate::three::{ALICE, BOB};

/// REG-11.device-to-numbers
#[tokio::test]
async fn reg_11_a_device_lists_its_identifiers_and_takes_one_off_itself() -> Result<()> {
    let host = Host::start().await?;
    let (alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let tablet = host.device("tablet", BOB).await?;
    let listed = in_time("the list", bob.client.register_list()).await??.registrations;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].endpoint.reveal(), listed[0].method.as_str()), (BOB, "register-sms"));

    revoke(&bob, BOB).await??;

    assert_eq!(in_time("the list", bob.client.register_list()).await??.registrations, []);
    assert_eq!(refusal(revoke(&bob, BOB).await?)?, ErrorCode::NotYourIdentifier);
    assert_eq!(refusal(revoke(&bob, ALICE).await?)?, ErrorCode::NotYourIdentifier);
    assert_eq!(tablet.registrations().await?, [BOB.parse()?], "another device keeps it");
    let status = alice.invite(BOB).await?;
    let kinds: Vec<&str> = status.devices.iter().map(|device| device.kind.as_str()).collect();
    assert_eq!(kinds, ["tablet"]);
    revoke(&tablet, BOB).await??;
    assert_eq!(refused_invite(&alice, BOB).await?.code, ErrorCode::NoneRegistered);
    Ok(())
}

#[tokio::test]
async fn reg_11_a_device_without_a_socket_does_it_by_signed_requests() -> Result<()> {
    let Some(python) = Python::of("reg_11_a_device_without_a_socket") else { return Ok(()) };
    let host = Host::start().await?;
    let (_, identity) = host.phone(ALICE).await?.leave().await;
    let signer = Signer::new(&python, host.addresses().http, "default", &identity)?;

    let listed = signer.ask(&RegisterList {}).await?.registrations;
    assert_eq!(listed.len(), 1);
    signer.ask(&RegisterRevoke { endpoint: ALICE.parse()? }).await?;

    assert_eq!(signer.ask(&RegisterList {}).await?.registrations, []);
    Ok(())
}

/// REG-11.number-to-devices
#[tokio::test]
async fn reg_11_the_tenant_lists_and_revokes_and_each_change_is_audited() -> Result<()> {
    let host = Host::start().await?;
    let (phone, tablet) = (host.phone(ALICE).await?, host.device("tablet", ALICE).await?);
    let bob = host.phone(BOB).await?;
    let mut devices = [phone.device().as_str(), tablet.device().as_str()];
    devices.sort_unstable();
    let of_alice = "registrations?endpoint=%2B15550100";

    let listed = host.admin.get(of_alice).await?;
    let found = |listed: &Value| -> Vec<String> {
        let rows = listed["registrations"].as_array().into_iter().flatten();
        rows.map(|row| row["device"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(found(&listed), devices);
    assert_eq!(listed["registrations"][0]["endpoint"], ALICE);
    let of_bob = host.admin.get(&format!("registrations?device={}", bob.device())).await?;
    assert_eq!(of_bob["registrations"][0]["endpoint"], BOB);
    assert_eq!(found(&host.admin.get("registrations?application=game").await?), Vec::<String>::new());
    let first = host.admin.get("registrations?limit=2").await?;
    let next = first["next"].as_str().context("a next page")?.replace('+', "%2B").replace(' ', "%20");
    let second = host.admin.get(&format!("registrations?limit=2&after={next}")).await?;
    assert_eq!((found(&first).len(), found(&second).len()), (2, 1));

    let one = format!("registrations/{}?endpoint=%2B15550100", phone.device());
    let (status, _) = host.admin.ask_tenant(Method::DELETE, &one, None).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(host.admin.ask_tenant(Method::DELETE, &one, None).await?.0, StatusCode::NOT_FOUND);
    assert_eq!(phone.registrations().await?, []);
    revoke(&bob, BOB).await??;

    let audit = host.admin.get("audit").await?;
    let changes: Vec<(&str, &str, &str)> = audit["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            Some((entry["action"].as_str()?, entry["actor"].as_str()?, entry["subject"].as_str()?))
        })
        .filter(|(action, ..)| action.starts_with("registration."))
        .collect();
    let itself = |phone: &Phone| format!("device {}", phone.device());
    let (by_phone, by_tablet, by_bob) = (itself(&phone), itself(&tablet), itself(&bob));
    let operator = changes.iter().find(|(_, actor, _)| !actor.starts_with("device ")).context("nobody")?.1;
    assert_eq!(
        changes,
        [
            ("registration.add", by_phone.as_str(), phone.device().as_str()),
            ("registration.add", by_tablet.as_str(), tablet.device().as_str()),
            ("registration.add", by_bob.as_str(), bob.device().as_str()),
            ("registration.revoke", operator, phone.device().as_str()),
            ("registration.revoke", by_bob.as_str(), bob.device().as_str()),
        ]
    );
    assert!(!audit.to_string().contains(ALICE), "the audit names nobody");
    Ok(())
}

#[tokio::test]
async fn reg_11_tenants_and_applications_are_walls() -> Result<()> {
    let host = Host::start().await?;
    let alice = host.phone(ALICE).await?;
    let acme = host.admin.at("acme");
    acme.create_tenant().await?;
    let acmes = acme.with_token(&acme.create_token().await?);

    assert_eq!(acmes.get("registrations").await?, json!({ "registrations": [] }));
    assert_eq!(acmes.get("person?endpoint=%2B15550100").await?["registrations"], json!([]));
    let (status, erased) = acmes.ask_tenant(Method::DELETE, "person?endpoint=%2B15550100", None).await?;
    assert_eq!((status, &erased["devices"]), (StatusCode::OK, &json!([])));
    let one = format!("registrations/{}?endpoint=%2B15550100", alice.device());
    assert_eq!(acmes.ask_tenant(Method::DELETE, &one, None).await?.0, StatusCode::NOT_FOUND);
    for (method, path) in [
        (Method::GET, "registrations"),
        (Method::GET, "person?endpoint=x"),
        (Method::DELETE, "person?endpoint=x"),
    ] {
        let foreign = acmes.at("default").ask_tenant(method, path, None).await?;
        assert_eq!(foreign.0, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(alice.registrations().await?, [ALICE.parse()?]);
    Ok(())
}

#[tokio::test]
async fn reg_11_a_person_gets_everything_and_can_have_it_erased() -> Result<()> {
    let host = Host::start().await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    bob.expect_invite().await?;
    let block = Block { endpoint: ALICE.parse()?, who: "carol".parse()? };
    in_time("the block", alice.client.block(&block)).await??;
    let path = "person?endpoint=%2B15550100";

    let person = host.admin.get(path).await?;
    assert_eq!(person["registrations"][0]["device"], alice.device().as_str());
    assert_eq!(
        person["sessions"][0],
        json!({ "session": status.session, "began": true, "purpose": "audio",
        "created_at": person["sessions"][0]["created_at"] })
    );
    assert_eq!(person["blocked"], json!(["carol"]));

    let (erasure, erased) = host.admin.ask_tenant(Method::DELETE, path, None).await?;

    assert_eq!((erasure, &erased["devices"]), (StatusCode::OK, &json!([alice.device()])));
    alice.expect("the end", |event| matches!(event, ClientEvent::Ended(_)).then_some(())).await?;
    let left = host.admin.get(path).await?;
    for part in ["registrations", "devices", "sessions", "attempts", "blocked", "waiting"] {
        assert_eq!(left[part], json!([]), "{part}");
    }
    let (_, body) = host.admin.ask_tenant(Method::GET, &format!("sessions/{}", status.session), None).await?;
    assert_eq!(body["code"], "not-found");
    assert_eq!(bob.registrations().await?, [BOB.parse()?]);
    // She may come again, as somebody new.
    let again = host.phone(ALICE).await?;
    assert_ne!(again.device(), alice.device());
    Ok(())
}

/// REG-13
#[tokio::test]
async fn reg_13_clients_hear_when_to_register_again_and_doing_so_changes_nothing() -> Result<()> {
    let host = Host::start().await?;
    let mut alice = host.phone(ALICE).await?;
    assert_eq!(in_time("welcome", alice.client.welcome()).await??.register_again, RegisterAgain::EachStart);
    let wanted = json!({ "again": "each-power-on", "proven_elsewhere": "share", "test_numbers": [] });
    let (status, _) = host.admin.ask_tenant(Method::PUT, "registering", Some(&wanted)).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(host.admin.get("registering").await?, wanted);

    let (settings, identity) = alice.leave().await;
    alice = Phone::connect(settings, identity).await?;
    assert_eq!(in_time("welcome", alice.client.welcome()).await??.register_again, RegisterAgain::EachPowerOn);
    let before = in_time("the list", alice.client.register_list()).await??.registrations;
    alice.register(&host.transit.carrier, &ALICE.parse()?).await?;
    let after = in_time("the list", alice.client.register_list()).await??.registrations;
    assert_eq!((after.len(), &after[0].endpoint), (1, &before[0].endpoint));

    let (status, refused) =
        host.admin.ask_tenant(Method::PUT, "registering", Some(&json!({ "again": "daily" }))).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("malformed")));
    Ok(())
}

/// REG-14
#[tokio::test]
async fn reg_14_one_way_the_number_is_associated_on_the_transits_word_alone() -> Result<()> {
    let host = Host::start().await?;
    let method = "registration-method/register-sms";
    let (status, _) = host.admin.configure(method, &json!({ "one_way": true })).await?;
    ensure!(status.is_success(), "{status}");
    let phone = host.stranger().await?;

    // Without the device id: the push token says which device it is.
    let text = format!("SWH {}", phone.identity.push_token.as_str());
    in_time("the text", host.transit.carrier.text(&ALICE.parse()?, &text)).await??;

    until("the registration", async || Ok((phone.registrations().await? == [ALICE.parse()?]).then_some(())))
        .await?;
    assert_eq!(host.transit.count(&ALICE.parse()?), 0, "nothing is texted back");
    Ok(())
}

#[tokio::test]
async fn a_test_number_is_proven_by_its_code_without_a_text_and_a_real_number_is_never_one() -> Result<()> {
    let host = Host::start().await?;
    let put = async |number: &str, code: &str| {
        let wanted = json!({ "again": "each-start", "test_numbers": [{ "number": number, "code": code }] });
        host.admin.ask_tenant(Method::PUT, "registering", Some(&wanted)).await
    };
    for (number, code) in [("+4915112345678", "123456"), (ALICE, "12345"), ("alice@example.com", "123456")] {
        let (status, refused) = put(number, code).await?;
        assert_eq!(
            (status, &refused["code"]),
            (StatusCode::BAD_REQUEST, &json!("malformed")),
            "{number} {code}"
        );
    }
    assert_eq!(put(ALICE, "24681357").await?.0, StatusCode::NO_CONTENT);

    let phone = host.stranger().await?;
    let attempt = crate::registration::type_number(&phone, ALICE).await?;
    let code = |code: &str| switchhook_protocol::registration::RegisterCode {
        attempt: attempt.clone(),
        code: code.to_owned(),
    };
    let wrong = in_time("the answer", phone.client.register_code(&code("12345678"))).await?;
    assert_eq!(refusal(wrong)?, ErrorCode::WrongCode);
    in_time("the answer", phone.client.register_code(&code("24681357"))).await??;

    assert_eq!(phone.registrations().await?, [ALICE.parse()?]);
    assert_eq!(host.transit.count(&ALICE.parse()?), 0, "no text is sent");
    let audit = host.admin.get("audit").await?.to_string();
    assert!(audit.contains("registering.put") && !audit.contains("24681357"), "{audit}");
    Ok(())
}

async fn revoke(phone: &Phone, endpoint: &str) -> Result<Result<switchhook_protocol::call::Done, CallError>> {
    let request = RegisterRevoke { endpoint: endpoint.parse()? };
    in_time("the answer", phone.client.register_revoke(&request)).await
}
