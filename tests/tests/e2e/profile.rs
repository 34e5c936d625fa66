//! E-mail registration above the mail: sign-in, profiles, credentials (REG-6, REG-7, REG-9, REG-13, REG-17).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_client::CallError;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::{ErrorBody, ErrorCode},
    registration::{AddressState, Credentials, RegisterAnswer, RegisterBegin, RegisterRevoke, Scope},
};
use switchhook_tests::{
    host::Host,
    phone::Phone,
    profile::{PASSWORD, email, register, sign_in, states, user, validate},
    waiting::{in_time, until},
};

const BOB: &str = "bob@example.org";

const COMPARED: &str = "switchhook_passwords_compared_total";

#[tokio::test]
async fn reg_6_a_user_signs_in_and_a_failure_says_not_what_was_wrong() -> Result<()> {
    let host = Host::start().await?;
    user(&host.admin, "bob", &[]).await?;
    let phone = host.stranger().await?;

    let profile = sign_in(&phone, "bob").await?;
    assert_eq!((profile.scope, &profile.endpoint), (Scope::Profile, &None));
    let again = sign_in(&host.stranger().await?, "bob").await?;
    assert_eq!(again.profile, profile.profile, "a user has one profile");

    let wrong = [("bob", "wrong horse"), ("nobody", PASSWORD), ("no name at all", PASSWORD)];
    let mut told = Vec::new();
    for (name, password) in wrong {
        told.push(refused(email(&phone)?.sign_in(name, password).await)?);
    }
    assert_eq!(told[0].code, ErrorCode::RegistrationRefused);
    assert!(told.iter().all(|body| *body == told[0]), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn reg_6_a_user_who_does_not_exist_costs_one_comparison_as_one_who_does() -> Result<()> {
    let host = Host::start().await?;
    user(&host.admin, "bob", &[]).await?;
    user(&host.admin, "blocked", &[]).await?;
    let blocked = json!({ "state": "blocked" });
    changed(&host, Method::PUT, "user?user=blocked", Some(&blocked)).await?;
    let phone = host.stranger().await?;

    for name in ["bob", "nobody", "blocked"] {
        let before = host.admin.metric(COMPARED).await?.context("not counted")?;
        assert_eq!(
            refusal(email(&phone)?.sign_in(name, "wrong horse").await),
            ErrorCode::RegistrationRefused
        );
        let after = host.admin.metric(COMPARED).await?.context("not counted")?;
        assert!((after - before - 1.0).abs() < 0.1, "{name}: {before} {after}");
    }
    assert_eq!(refusal(email(&phone)?.sign_in("blocked", PASSWORD).await), ErrorCode::RegistrationRefused);
    Ok(())
}

#[tokio::test]
async fn reg_6_guesses_are_bounded_and_do_not_lock_out_the_devices_of_the_owner() -> Result<()> {
    let host = Host::start().await?;
    user(&host.admin, "bob", &[]).await?;
    let own = host.stranger().await?;
    sign_in(&own, "bob").await?;

    let mut compared = 0;
    for _ in 0..10 {
        let guesser = host.stranger().await?;
        compared += guess(&guesser, "bob").await?;
    }
    // Each device has eight, and all of them together sixty, then one in 30 seconds.
    assert!((59..80).contains(&compared), "{compared} guesses were compared");
    let late = until("a device that hears of all others", async || {
        let late = refused(email(&host.stranger().await?)?.sign_in("bob", "wrong horse").await)?;
        Ok((late.code == ErrorCode::RateLimited).then_some(late))
    })
    .await?;
    assert!(late.retry_after_ms.is_some_and(|wait| wait <= 30_000), "{late:?}");
    sign_in(&own, "bob").await?;
    Ok(())
}

#[tokio::test]
async fn reg_7_the_directorys_word_needs_no_mail_and_then_the_profile_knows() -> Result<()> {
    let host = Host::start().await?;
    user(&host.admin, "bob", &[BOB]).await?;
    let phone = host.stranger().await?;
    let profile = sign_in(&phone, "bob").await?;

    let validation = validate(&phone, &profile, &["bob@EXAMPLE.org"]).await?;
    assert_eq!(states(&validation), [(BOB, AddressState::Validated)]);

    // The directory forgets; the profile does not.
    changed(&host, Method::PUT, "user?user=bob", Some(&json!({ "addresses": [] }))).await?;
    let validation = validate(&phone, &profile, &[BOB]).await?;
    assert_eq!(states(&validation), [(BOB, AddressState::Validated)]);
    Ok(())
}

/// REG-17
#[tokio::test]
async fn reg_9_a_validated_address_is_activated_and_registered_to_the_device() -> Result<()> {
    let mut host = Host::start().await?;
    user(&host.admin, "bob", &[BOB]).await?;
    let phone = host.stranger().await?;
    let profile = sign_in(&phone, "bob").await?;
    let validation = validate(&phone, &profile, &[BOB]).await?;
    let address =
        email(&phone)?.answer(&validation.attempt, &BOB.parse()?, true).await?.context("no credentials")?;
    assert_eq!((address.scope, &address.profile), (Scope::Address, &profile.profile));

    let (settings, identity) = phone.leave().await;
    host.restart(async |_| Ok(())).await?;
    let phone = Phone::connect(settings, identity).await?;

    let again = email(&phone)?.activate(&profile, &BOB.parse()?).await?;
    assert_ne!(again.credentials, address.credentials, "they are made anew");
    let login = email(&phone)?.register(&profile, &again).await?;
    assert_eq!((login.scope, login.endpoint.as_ref()), (Scope::Login, Some(&BOB.parse()?)));
    assert_eq!(phone.registrations().await?, [BOB.parse::<EndpointId>()?]);

    let shown = host.admin.get("user?user=bob").await?;
    assert_eq!(shown["profile"], json!(profile.profile));
    assert_eq!(shown["validations"], json!([{ "address": BOB, "state": "validated" }]));
    let kept = &shown["devices"][0];
    assert_eq!(kept["device"], json!(phone.device()));
    for when in ["asked_at", "told_at", "registered_at"] {
        assert!(kept[when].is_u64(), "{when}: {kept}");
    }
    Ok(())
}

#[tokio::test]
async fn reg_13_login_credentials_register_again_without_a_person() -> Result<()> {
    let host = Host::start().await?;
    let (phone, profile, login) = registered(&host).await?;
    let newer = email(&phone)?.register_again(&login).await?;
    assert_eq!(phone.registrations().await?, [BOB.parse::<EndpointId>()?]);
    // The newest count.
    assert_eq!(refusal(email(&phone)?.register_again(&login).await), ErrorCode::CredentialsRevoked);
    email(&phone)?.register_again(&newer).await?;

    // What is taken off the device is not put back by them.
    let newest =
        email(&phone)?.register(&profile, &email(&phone)?.activate(&profile, &BOB.parse()?).await?).await?;
    phone.client.register_revoke(&RegisterRevoke { endpoint: BOB.parse()? }).await?;
    assert_eq!(refusal(email(&phone)?.register_again(&newest).await), ErrorCode::CredentialsRevoked);
    assert_eq!(phone.registrations().await?, []);
    Ok(())
}

#[tokio::test]
async fn reg_9_credentials_are_of_one_scope_one_device_and_told_apart() -> Result<()> {
    let host = Host::start().await?;
    let (phone, profile, login) = registered(&host).await?;
    let email = email(&phone)?;
    let address = email.activate(&profile, &BOB.parse()?).await?;
    let (bob, carol): (EndpointId, EndpointId) = (BOB.parse()?, "carol@example.org".parse()?);

    assert_eq!(refusal(email.activate(&profile, &carol).await), ErrorCode::AddressNotValidated);
    let swapped = Credentials { scope: Scope::Profile, ..address.clone() };
    assert_eq!(refusal(email.activate(&swapped, &bob).await), ErrorCode::CredentialsRefused);
    let swapped = Credentials { scope: Scope::Login, ..address.clone() };
    assert_eq!(refusal(email.register_again(&swapped).await), ErrorCode::CredentialsRefused);
    let forged = Credentials { credentials: "AXb7".to_owned(), ..profile.clone() };
    assert_eq!(refusal(email.register(&forged, &address).await), ErrorCode::CredentialsRefused);

    // Stolen, they are of no use, also to another device of the same user.
    let thief = host.stranger().await?;
    let thiefs = switchhook_tests::profile::email(&thief)?;
    assert_eq!(refusal(thiefs.activate(&profile, &bob).await), ErrorCode::CredentialsRefused);
    assert_eq!(refusal(thiefs.register_again(&login).await), ErrorCode::CredentialsRefused);
    let thiefs_own = sign_in(&thief, "bob").await?;
    assert_eq!(refusal(thiefs.register(&thiefs_own, &address).await), ErrorCode::CredentialsRefused);
    assert_eq!(thief.registrations().await?, []);

    // Those of two profiles do not go together.
    user(&host.admin, "carol", &["carol@example.org"]).await?;
    let carols = sign_in(&phone, "carol").await?;
    assert_eq!(refusal(email.register(&carols, &address).await), ErrorCode::CredentialsRefused);
    let told = refused(email.register(&forged, &address).await)?;
    assert!(told.message.starts_with("profile-credentials: "), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn reg_9_a_new_password_a_blocked_user_and_the_tenants_word_revoke_credentials() -> Result<()> {
    let host = Host::start().await?;
    let (phone, ..) = registered(&host).await?;
    let password = json!({ "password": PASSWORD });
    let blocked = json!({ "addresses": [BOB], "state": "blocked" });
    let active = json!({ "addresses": [BOB] });
    for (method, path, body) in [
        (Method::PUT, "user/password?user=bob", Some(&password)),
        (Method::DELETE, "user/credentials?user=bob", None),
        (Method::PUT, "user?user=bob", Some(&blocked)),
    ] {
        let profile = sign_in(&phone, "bob").await?;
        changed(&host, method, path, body).await?;
        let refused = refusal(email(&phone)?.activate(&profile, &BOB.parse()?).await);
        assert_eq!(refused, ErrorCode::CredentialsRevoked, "{path}");
    }
    changed(&host, Method::PUT, "user?user=bob", Some(&active)).await?;
    let profile = sign_in(&phone, "bob").await?;
    changed(&host, Method::DELETE, "user?user=bob", None).await?;
    let refused = refusal(email(&phone)?.activate(&profile, &BOB.parse()?).await);
    assert_eq!(refused, ErrorCode::CredentialsRevoked);
    assert_eq!(phone.registrations().await?, [BOB.parse::<EndpointId>()?], "what is registered stays");

    let audit = host.admin.get("audit").await?.to_string();
    for action in ["user.add", "user.put", "user.password", "user.revoke-credentials", "user.remove"] {
        assert!(audit.contains(&format!("\"{action}\"")), "{action}: {audit}");
    }
    assert!(!audit.contains(PASSWORD));
    Ok(())
}

#[tokio::test]
async fn reg_8_a_no_ends_it_and_the_device_is_forgotten() -> Result<()> {
    let host = Host::start().await?;
    user(&host.admin, "bob", &[BOB]).await?;
    let phone = host.stranger().await?;
    let profile = sign_in(&phone, "bob").await?;
    let validation = validate(&phone, &profile, &[BOB]).await?;

    assert_eq!(email(&phone)?.answer(&validation.attempt, &BOB.parse()?, false).await?, None);
    let again = email(&phone)?.answer(&validation.attempt, &BOB.parse()?, true).await;
    assert_eq!(refusal(again), ErrorCode::RegistrationExpired);
    assert_eq!(phone.registrations().await?, []);
    assert_eq!(host.admin.get("user?user=bob").await?["devices"], json!([]));
    Ok(())
}

#[tokio::test]
async fn reg_8_another_devices_attempt_is_answered_by_nobody_else() -> Result<()> {
    let host = Host::start().await?;
    user(&host.admin, "bob", &[BOB]).await?;
    let (phone, other) = (host.stranger().await?, host.stranger().await?);
    let profile = sign_in(&phone, "bob").await?;
    let validation = validate(&phone, &profile, &[BOB]).await?;
    sign_in(&other, "bob").await?;

    let stolen = email(&other)?.answer(&validation.attempt, &BOB.parse()?, true).await;
    assert_eq!(refusal(stolen), ErrorCode::NotFound);
    let fields: BTreeMap<_, _> = [("address", BOB), ("register", "perhaps")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let unclear = RegisterAnswer { attempt: validation.attempt.clone(), fields };
    assert_eq!(refusal(phone.client.register_answer(&unclear).await), ErrorCode::RegistrationRefused);
    register(&phone, &profile, &validation, &BOB.parse()?).await?;
    Ok(())
}

#[tokio::test]
async fn reg_6_neither_password_nor_credentials_reach_a_method_or_what_it_writes() -> Result<()> {
    let host = Host::start().await?;
    user(&host.admin, "bob", &[]).await?;
    let phone = host.stranger().await?;
    let unknown = [("my-credentials".to_owned(), "AXb7".to_owned())].into();
    let begin = RegisterBegin { method: "register-email".parse()?, fields: unknown };
    assert_eq!(refusal(phone.client.register_begin(&begin).await), ErrorCode::Malformed);
    sign_in(&phone, "bob").await?;
    let database = std::fs::read(host.data().join("switchhook.db"))?;
    let log = std::fs::read(host.data().join("switchhook.db-wal"))?;
    for bytes in [database, log] {
        assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()));
    }
    Ok(())
}

#[tokio::test]
async fn reg_11_a_persons_profile_is_exported_and_erased() -> Result<()> {
    let host = Host::start().await?;
    let (phone, profile, _) = registered(&host).await?;
    let exported = host.admin.get(&format!("person?endpoint={BOB}")).await?;
    assert_eq!(exported["profiles"], json!([{ "profile": profile.profile, "state": "validated" }]));

    changed_with(&host, Method::DELETE, &format!("person?endpoint={BOB}"), StatusCode::OK).await?;
    let shown = host.admin.get("user?user=bob").await?;
    assert_eq!((&shown["validations"], &shown["addresses"]), (&json!([]), &json!([])));
    drop(phone);
    Ok(())
}

/// Bob's phone with his address registered; profile and login credentials.
async fn registered(host: &Host) -> Result<(Phone, Credentials, Credentials)> {
    user(&host.admin, "bob", &[BOB]).await?;
    let phone = host.stranger().await?;
    let profile = sign_in(&phone, "bob").await?;
    let validation = validate(&phone, &profile, &[BOB]).await?;
    let login = in_time("the registration", register(&phone, &profile, &validation, &BOB.parse()?)).await??;
    Ok((phone, profile, login))
}

/// Guesses until there are no guesses left; how many were compared.
async fn guess(phone: &Phone, name: &str) -> Result<usize> {
    for compared in 0.. {
        let told = refused(email(phone)?.sign_in(name, "wrong horse").await)?;
        if told.code == ErrorCode::RateLimited {
            return Ok(compared);
        }
        assert_eq!(told.code, ErrorCode::RegistrationRefused);
    }
    Ok(0)
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, CallError>) -> ErrorCode {
    refused(answer).unwrap().code
}

fn refused<T: std::fmt::Debug>(answer: Result<T, CallError>) -> Result<ErrorBody> {
    match answer {
        Err(CallError::Refused(body)) => Ok(body),
        other => anyhow::bail!("{other:?}"),
    }
}

async fn changed(host: &Host, method: Method, path: &str, body: Option<&Value>) -> Result<()> {
    let (status, answer) = host.admin.ask_tenant(method, path, body).await?;
    assert_eq!(status, StatusCode::NO_CONTENT, "{path}: {answer}");
    Ok(())
}

async fn changed_with(host: &Host, method: Method, path: &str, expected: StatusCode) -> Result<()> {
    let (status, answer) = host.admin.ask_tenant(method, path, None).await?;
    assert_eq!(status, expected, "{path}: {answer}");
    Ok(())
}
