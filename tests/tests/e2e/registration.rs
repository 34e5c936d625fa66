//! Registration by SMS and by a typed number, with a carrier that is no part of the host.

use std::{collections::BTreeMap, slice, time::Duration};

use anyhow::{Context as _, Result};
use reqwest::StatusCode;
use serde_json::json;
use switchhook_client::{
    Client,
    identity::Identity,
    registration::{begin_text, keep_text},
};
use switchhook_core::row::SecretKind;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{AttemptId, MessageId},
    registration::{RegisterBegin, RegisterCode, RegisterValidate, RegistrationProgress},
    time::Timestamp,
};
use switchhook_server::{NotTaken, SANDBOX_NUMBER, TextReport};
use switchhook_tests::{
    host::{Host, Transit},
    phone::{Phone, refusal},
    waiting::{in_time, until},
};

const ALICE: &str = "+15550100";

/// REG-3
#[tokio::test]
async fn reg_2_a_text_registers_the_number_that_the_transit_read_from_its_header() -> Result<()> {
    let host = Host::start().await?;
    let number: EndpointId = ALICE.parse()?;
    let mut phone = host.stranger().await?;
    assert_eq!(phone.registrations().await?, []);

    phone.register(&host.transit.carrier, &number).await?;

    assert_eq!(phone.registrations().await?, slice::from_ref(&number));
    assert_eq!(host.transit.count(&number), 1);
    assert_eq!(host.admin.metric("switchhook_register_validated_total").await?, Some(1.0));
    Ok(())
}

#[tokio::test]
async fn reg_2_a_repeated_report_gets_the_stored_answer_and_sends_nothing_more() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let report = report("one", ALICE, &begin_text(&phone.identity))?;

    let first = host.transit.carrier.report(&report).await?;
    in_time("the SMS", host.transit.carrier.next_text(&report.from, 0)).await?;
    let again = host.transit.carrier.report(&report).await?;

    assert_eq!(again, first);
    // A text is queued before its report is answered.
    assert_eq!((host.stored().await?["outbox"], host.transit.count(&report.from)), (1, 1));
    Ok(())
}

#[tokio::test]
async fn reg_2_a_report_that_comes_many_times_at_once_has_one_effect() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let report = report("one", ALICE, &begin_text(&phone.identity))?;
    let carrier = &host.transit.carrier;

    let all = futures_util::future::try_join_all((0..6).map(|_| carrier.report(&report)));
    let answers = in_time("the answers", all).await??;

    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    in_time("the SMS", carrier.next_text(&report.from, 0)).await?;
    let stored = host.stored().await?;
    assert_eq!((stored["outbox"], stored["secrets"], stored["attempts"]), (1, 1, 1));
    Ok(())
}

#[tokio::test]
async fn reg_2_two_reports_of_one_device_at_once_go_on_with_one_attempt() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let text = begin_text(&phone.identity);
    let reports =
        [report("one", ALICE, &text)?, report("two", ALICE, &text)?, report("three", ALICE, &text)?];

    let all =
        futures_util::future::try_join_all(reports.iter().map(|report| host.transit.carrier.report(report)));
    let answers = in_time("the answers", all).await??;

    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    in_time("the last SMS", host.transit.carrier.next_text(&ALICE.parse()?, 2)).await?;
    assert_eq!(host.stored().await?["attempts"], 1);
    Ok(())
}

#[tokio::test]
async fn reg_2_the_same_message_id_with_another_body_is_a_conflict() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let mut report = report("one", ALICE, &begin_text(&phone.identity))?;
    host.transit.carrier.report(&report).await?;

    report.from = "+15550101".parse()?;

    assert_eq!(not_taken(host.transit.carrier.report(&report).await), ErrorCode::Conflict);
    Ok(())
}

#[tokio::test]
async fn reg_3_two_devices_that_register_one_number_at_once_are_told_apart() -> Result<()> {
    let host = Host::start().await?;
    let number: EndpointId = ALICE.parse()?;
    let (mut one, mut other) = (host.stranger().await?, host.stranger().await?);
    let texts = (begin_text(&one.identity), begin_text(&other.identity));
    let (first, second) = tokio::join!(
        host.transit.carrier.text(&number, &texts.0),
        host.transit.carrier.text(&number, &texts.1),
    );
    assert_ne!(first?, second?);
    in_time("both SMS", host.transit.carrier.next_text(&number, 1)).await?;

    // Both devices share the number, so each sees both texts; each one's own is good for it alone.
    let texts = host.transit.carrier.texts(&number);
    let mut good = Vec::new();
    for phone in [&mut one, &mut other] {
        let mut outcomes = Vec::new();
        for text in &texts {
            outcomes.push(validate_text(phone, text).await?);
        }
        good.push(outcomes.iter().position(Result::is_ok));
        let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused, [ErrorCode::RegistrationMismatch]);
        assert_eq!(phone.registrations().await?, slice::from_ref(&number));
    }
    assert!(good[0].is_some() && good[1].is_some() && good[0] != good[1], "{good:?}");
    Ok(())
}

#[tokio::test]
async fn reg_4_the_same_device_repeats_the_same_fields_and_gets_the_same_success() -> Result<()> {
    let mut host = Host::start().await?;
    let number: EndpointId = ALICE.parse()?;
    let phone = host.phone(ALICE).await?;
    let request = validation(&phone.identity);

    // When the signature counts no more, and when nothing is left of it.
    for passed in [Duration::ZERO, Duration::from_hours(1), Duration::from_hours(8 * 24)] {
        host.restart_after(passed).await?;
        let repeated = in_time("the answer", phone.client.register_validate(&request)).await??;
        assert_eq!(repeated, RegistrationProgress::Registered { endpoint: number.clone() }, "{passed:?}");
    }
    let other = RegisterValidate { number: "+15550101".parse()?, ..request };
    let refused = in_time("the answer", phone.client.register_validate(&other)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::RegistrationMismatch);

    assert_eq!(phone.registrations().await?, [number]);
    assert_eq!(host.stored().await?["registrations"], 1);
    Ok(())
}

#[tokio::test]
async fn reg_4_a_registration_runs_again_without_harm() -> Result<()> {
    let host = Host::start().await?;
    let number: EndpointId = ALICE.parse()?;
    let mut phone = host.phone(ALICE).await?;

    phone.register(&host.transit.carrier, &number).await?;

    assert_eq!(phone.registrations().await?, [number]);
    Ok(())
}

#[tokio::test]
async fn reg_4_a_change_in_any_single_field_fails_and_changes_nothing() -> Result<()> {
    let host = Host::start().await?;
    let (number, other) = ("+15550101".parse()?, host.phone(ALICE).await?);
    let mut phone = host.stranger().await?;
    host.transit.carrier.text(&number, &begin_text(&phone.identity)).await?;
    let text = in_time("the SMS", host.transit.carrier.next_text(&number, 0)).await?;
    keep_text(&mut phone.identity, &text).unwrap();
    let right = validation(&phone.identity);
    let before = host.stored().await?;

    let swapped = format!("{}{}", flip(&right.signature[..1]), &right.signature[1..]);
    let (head, last) = right.signature.split_at(right.signature.len() - 5);
    let tail = format!("{head}{}{}", flip(&last[..1]), &last[1..]);
    let wrong = [
        RegisterValidate { number: ALICE.parse()?, ..right.clone() },
        RegisterValidate { push_token: other.identity.push_token.clone(), ..right.clone() },
        RegisterValidate { device: other.device().clone(), ..right.clone() },
        RegisterValidate { signature: swapped, ..right.clone() },
        RegisterValidate { signature: tail, ..right.clone() },
        RegisterValidate { signature: "not base32 at all".to_owned(), ..right.clone() },
    ];
    for request in wrong {
        let answer = in_time("the answer", phone.client.register_validate(&request)).await?;
        assert_eq!(refusal(answer)?, ErrorCode::RegistrationMismatch, "{request:?}");
    }
    // Somebody else's device shows all the right fields.
    let stolen = in_time("the answer", other.client.register_validate(&right)).await?;
    assert_eq!(refusal(stolen)?, ErrorCode::RegistrationMismatch);
    assert_eq!(host.stored().await?, before);
    assert_eq!(other.registrations().await?, [ALICE.parse()?]);

    // The connection goes on, and what was right still is.
    in_time("the answer", phone.client.register_validate(&right)).await??;
    assert_eq!(phone.registrations().await?, [number]);
    Ok(())
}

#[tokio::test]
async fn reg_3_a_signature_expires() -> Result<()> {
    let mut host = Host::start().await?;
    let number: EndpointId = ALICE.parse()?;
    let mut phone = host.stranger().await?;
    host.transit.carrier.text(&number, &begin_text(&phone.identity)).await?;
    let text = in_time("the SMS", host.transit.carrier.next_text(&number, 0)).await?;
    keep_text(&mut phone.identity, &text).unwrap();
    let request = validation(&phone.identity);

    let id = switchhook_core::registration::signature::record_id(&request.signature).unwrap();
    host.restart(async move |storage| {
        let mut secret = storage.secret(&id, SecretKind::Signature).await?.unwrap();
        secret.expires_at = Timestamp::from_millis(1);
        Ok(storage.run("test", async move |tx| tx.put_secret(&secret).await).await?)
    })
    .await?;

    let answer = again(&phone.client, &request).await?;
    assert_eq!(refusal(answer)?, ErrorCode::RegistrationExpired);
    assert_eq!(phone.registrations().await?, []);
    Ok(())
}

#[tokio::test]
async fn reg_5_a_typed_number_is_associated_when_its_code_has_come_back() -> Result<()> {
    let host = Host::start().await?;
    let number: EndpointId = ALICE.parse()?;
    let phone = host.stranger().await?;
    let attempt = type_number(&phone, ALICE).await?;
    let code = code_for(&host.transit, &number).await?;
    assert_eq!(phone.registrations().await?, []);

    // Another device does not get far with it.
    let stranger = host.stranger().await?;
    let stolen = RegisterCode { attempt: attempt.clone(), code: code.clone() };
    let stolen = in_time("the answer", stranger.client.register_code(&stolen)).await?;
    assert_eq!(refusal(stolen)?, ErrorCode::NotFound);

    let wrong = RegisterCode { attempt: attempt.clone(), code: other_code(&code) };
    let wrong = in_time("the answer", phone.client.register_code(&wrong)).await?;
    assert_eq!(refusal(wrong)?, ErrorCode::WrongCode);
    let right = RegisterCode { attempt: attempt.clone(), code: code.clone() };
    let progress = in_time("the answer", phone.client.register_code(&right)).await??;
    assert_eq!(progress, RegistrationProgress::Registered { endpoint: number.clone() });
    assert_eq!(phone.registrations().await?, [number]);

    let used = in_time("the answer", phone.client.register_code(&right)).await?;
    assert_eq!(refusal(used)?, ErrorCode::RegistrationExpired);
    Ok(())
}

#[tokio::test]
async fn reg_5_five_wrong_codes_end_the_attempt() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let attempt = type_number(&phone, ALICE).await?;
    let code = code_for(&host.transit, &ALICE.parse()?).await?;

    let mut refused = Vec::new();
    let wrong = RegisterCode { attempt: attempt.clone(), code: other_code(&code) };
    for _ in 0..5 {
        refused.push(refusal(in_time("the answer", phone.client.register_code(&wrong)).await?)?);
    }
    assert_eq!(refused[..4], [ErrorCode::WrongCode; 4]);
    assert_eq!(refused[4], ErrorCode::TriesExhausted);

    let right = RegisterCode { attempt, code };
    let late = refusal(in_time("the answer", phone.client.register_code(&right)).await?)?;
    assert_eq!(late, ErrorCode::TriesExhausted);
    assert_eq!(phone.registrations().await?, []);
    Ok(())
}

#[tokio::test]
async fn reg_5_what_is_no_number_is_refused_in_the_methods_own_words() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let begin = |method: &str, field: &str| -> Result<RegisterBegin> {
        let fields = BTreeMap::from([(field.to_owned(), "555".to_owned())]);
        Ok(RegisterBegin { method: method.parse()?, fields })
    };

    for (request, code) in [
        (begin("register-phone-entry", "number")?, ErrorCode::RegistrationRefused),
        (begin("register-phone-entry", "phone")?, ErrorCode::RegistrationRefused),
        (begin("by-pigeon", "number")?, ErrorCode::UnknownMethod),
    ] {
        let answer = in_time("the answer", phone.client.register_begin(&request)).await?;
        assert_eq!(refusal(answer)?, code, "{request:?}");
    }
    Ok(())
}

#[tokio::test]
async fn reg_3_an_sms_in_doubt_is_reported_and_sent_again_only_on_request() -> Result<()> {
    let host = Host::start().await?;
    let number: EndpointId = ALICE.parse()?;
    let mut phone = host.stranger().await?;
    host.transit.carrier.refuse(Some(500));
    host.transit.carrier.text(&number, &begin_text(&phone.identity)).await?;
    let in_doubt = until("the report", async || {
        let texts = host.admin.in_doubt().await?;
        Ok((!texts.is_empty()).then_some(texts))
    })
    .await?;
    assert_eq!(in_doubt.len(), 1);

    // The gateway works again, and the outbox too: nothing goes out by itself.
    host.transit.carrier.refuse(None);
    let mut other = host.stranger().await?;
    other.register(&host.transit.carrier, &"+15550101".parse()?).await?;
    assert_eq!(host.transit.count(&number), 0);
    assert_eq!(host.admin.in_doubt().await?, in_doubt);

    assert_eq!(host.admin.resend(&in_doubt[0]).await?, StatusCode::ACCEPTED);
    let text = in_time("the SMS", host.transit.carrier.next_text(&number, 0)).await?;
    assert_eq!(validate_text(&mut phone, &text).await?, Ok(()));
    assert_eq!(host.admin.in_doubt().await?, Vec::<String>::new());
    // What is not in doubt is not sent again.
    assert_eq!(host.admin.resend(&in_doubt[0]).await?, StatusCode::NOT_FOUND);
    assert_eq!(
        host.admin.resend(MessageId::try_from("nothing".to_owned())?.as_str()).await?,
        StatusCode::NOT_FOUND
    );
    Ok(())
}

/// The built-in method has no short cut: it stands in the same table as any tenant's plugin, with
/// name and version, and without it there is no registration.
///
/// REG-2
#[tokio::test]
async fn plug_2_a_built_in_method_is_an_activated_plugin_like_any_other() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let report = report("one", ALICE, &begin_text(&phone.identity))?;
    let accepted = host.transit.carrier.report(&report).await?;

    let decisions = host.admin.decisions(accepted.attempt().context("no attempt")?.as_str()).await?;
    let asked = decisions.first().unwrap();
    assert_eq!(
        (asked.slot.as_str(), asked.plugin.as_str(), asked.version),
        ("registration-method", "register-sms", 1)
    );
    assert_eq!((asked.outcome.as_str(), &asked.failure), ("send-signature", &None));

    host.admin.changed("registration-method/register-sms", "deactivate", &json!({ "mode": "kill" })).await?;
    let report = self::report("two", ALICE, &begin_text(&phone.identity))?;
    assert_eq!(not_taken(host.transit.carrier.report(&report).await), ErrorCode::NotClaimed);
    Ok(())
}

fn report(id: &str, from: &str, text: &str) -> Result<TextReport> {
    Ok(TextReport {
        id: id.to_owned(),
        from: from.parse()?,
        to: SANDBOX_NUMBER.to_owned(),
        text: text.to_owned(),
    })
}

fn not_taken<T: std::fmt::Debug>(answer: Result<T, NotTaken>) -> ErrorCode {
    match answer {
        Err(NotTaken::Refused(body)) => body.code,
        other => panic!("not refused: {other:?}"),
    }
}

/// What the device says after the SMS.
fn validation(identity: &Identity) -> RegisterValidate {
    let kept = identity.registrations.last().unwrap();
    RegisterValidate {
        number: kept.number.clone(),
        push_token: kept.push_token.clone(),
        device: kept.device.clone(),
        signature: kept.signature.clone(),
    }
}

async fn validate_text(phone: &mut Phone, text: &str) -> Result<Result<(), ErrorCode>> {
    keep_text(&mut phone.identity, text).unwrap();
    match in_time("the answer", phone.client.register_validate(&validation(&phone.identity))).await? {
        Ok(_) => Ok(Ok(())),
        refused => Ok(Err(refusal(refused)?)),
    }
}

/// Asks until the connection is back.
async fn again(
    client: &Client,
    request: &RegisterValidate,
) -> Result<Result<RegistrationProgress, switchhook_client::CallError>> {
    in_time("the answer", async {
        loop {
            match client.register_validate(request).await {
                Err(switchhook_client::CallError::ConnectionLost) => {}
                answer => return answer,
            }
        }
    })
    .await
}

pub(crate) async fn type_number(phone: &Phone, number: &str) -> Result<AttemptId> {
    let fields = BTreeMap::from([("number".to_owned(), number.to_owned())]);
    let begin = RegisterBegin { method: "register-phone-entry".parse()?, fields };
    match in_time("the answer", phone.client.register_begin(&begin)).await?? {
        RegistrationProgress::CodeSent { attempt, .. } => Ok(attempt),
        other @ (RegistrationProgress::Asked { .. }
        | RegistrationProgress::Issued(_)
        | RegistrationProgress::Pending { .. }
        | RegistrationProgress::Ended { .. }
        | RegistrationProgress::Registered { .. }) => panic!("no code is sent: {other:?}"),
    }
}

/// The code in the SMS: its only six digits.
async fn code_for(transit: &Transit, number: &EndpointId) -> Result<String> {
    let text = in_time("the SMS", transit.carrier.next_text(number, 0)).await?;
    let mut words = text.split(|c: char| !c.is_ascii_digit());
    Ok(words.find(|word| word.len() == 6).unwrap().to_owned())
}

fn other_code(code: &str) -> String {
    format!("{}{}", if code.starts_with('0') { '1' } else { '0' }, &code[1..])
}

fn flip(letter: &str) -> &'static str {
    if letter == "A" { "B" } else { "A" }
}
