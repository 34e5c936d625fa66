//! Push tokens: for a time, and one after the other.

use anyhow::Result;
use sha2::{Digest as _, Sha256};
use switchhook_client::{
    identity::Identity,
    registration::{begin_text, keep_text},
};
use switchhook_core::row::Device;
use switchhook_protocol::{
    error::ErrorCode,
    push_token::{PushAddress, PushTokenRenew},
    registration::{RegisterBegin, RegisterValidate},
};
use switchhook_server::NotTaken;
use switchhook_storage::TenantStorage;
use switchhook_tests::{
    host::{Host, tenant},
    phone::{Phone, refusal},
    raw::{self, Raw},
    waiting::{in_time, now},
};

use crate::three::{ALICE, BOB};

/// REG-1
#[tokio::test]
async fn reg_1_another_push_token_takes_over_what_was_registered_in_one_step() -> Result<()> {
    let host = Host::start().await?;
    let (alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    // A signature that was made for the token of before, and has not been sent back yet.
    let mut old = bob.identity.clone();
    let number = "+15550102".parse()?;
    host.transit.carrier.text(&number, &begin_text(&old)).await?;
    let signed = in_time("the SMS", host.transit.carrier.next_text(&number, 0)).await?;
    keep_text(&mut old, &signed);
    let (_, signature) = switchhook_protocol::registration::parse_signature_text(&signed)
        .unwrap_or_else(|| panic!("no signature: {signed}"));

    let address = PushAddress::Fcm { token: "fcm-token".to_owned() };
    let renewed = in_time("the token", bob.client.push_token_renew(&wraps(Some(address)))).await??;
    assert!(renewed.expires_in_ms > 89 * 24 * 3_600_000, "{renewed:?}");

    let validate = RegisterValidate {
        number: number.clone(),
        push_token: old.push_token.clone(),
        device: old.device.clone(),
        signature,
    };
    let refused = in_time("the answer", bob.client.register_validate(&validate)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::RegistrationMismatch);
    let Err(NotTaken::Refused(refused)) = host.transit.carrier.text(&number, &begin_text(&old)).await else {
        panic!("a text with the token of before begins nothing")
    };
    assert_eq!(refused.code, ErrorCode::RegistrationMismatch);
    let (settings, _) = bob.leave().await;
    assert_eq!(said_to_hello(&host, &old).await?, "unauthorized");

    let mut bob = Phone::connect(settings, Identity { push_token: renewed.push_token, ..old }).await?;
    assert_eq!(bob.registrations().await?, [BOB.parse()?]);
    let status = alice.invite(BOB).await?;
    assert_eq!(bob.expect_invite().await?.session, status.session);
    bob.register(&host.transit.carrier, &number).await
}

#[tokio::test]
async fn reg_1_a_push_token_that_is_over_registers_nothing_until_it_is_renewed() -> Result<()> {
    let mut host = Host::start().await?;
    let bob = host.phone(BOB).await?;
    let (settings, identity) = bob.leave().await;
    let over = identity.clone();
    host.restart(async |storage| expire(&storage, &over).await).await?;

    let mut bob = Phone::connect(settings, identity).await?;
    let begin = RegisterBegin {
        method: "register-phone-entry".parse()?,
        fields: [("number".to_owned(), ALICE.to_owned())].into(),
    };
    let refused = in_time("the answer", bob.client.register_begin(&begin)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::PushTokenExpired);
    let Err(NotTaken::Refused(refused)) =
        host.transit.carrier.text(&ALICE.parse()?, &begin_text(&bob.identity)).await
    else {
        panic!("a text with a token that is over begins nothing")
    };
    assert_eq!(refused.code, ErrorCode::PushTokenExpired);

    let renewed = in_time("the token", bob.client.push_token_renew(&wraps(None))).await??;
    bob.identity.push_token = renewed.push_token;
    bob.register(&host.transit.carrier, &ALICE.parse()?).await?;
    assert_eq!(bob.registrations().await?, [ALICE.parse()?, BOB.parse()?]);
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_and_the_token_stays() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let endpoint = "http://169.254.169.254/latest".to_owned();
    let address = PushAddress::WebPush { endpoint, p256dh: "BNc".to_owned(), auth: "k8J".to_owned() };

    let refused = in_time("the answer", phone.client.push_token_renew(&wraps(Some(address)))).await?;

    assert_eq!(refusal(refused)?, ErrorCode::Malformed);
    let (settings, identity) = phone.leave().await;
    Phone::connect(settings, identity).await.map(drop)
}

const fn wraps(wraps: Option<PushAddress>) -> PushTokenRenew {
    PushTokenRenew { wraps }
}

/// As if its token had been minted long ago.
async fn expire(storage: &TenantStorage, identity: &Identity) -> Result<()> {
    let Device { id, .. } =
        storage.devices().get(&identity.device).await?.unwrap_or_else(|| panic!("it is stored"));
    let hash = Sha256::digest(identity.push_token.as_str().as_bytes()).into();
    let over = now();
    storage.run("expire", async move |tx| tx.set_push_token(&id, &hash, (over, None)).await).await?;
    Ok(())
}

/// What a `hello` is answered.
async fn said_to_hello(host: &Host, identity: &Identity) -> Result<String> {
    let mut raw = Raw::connect(host.addresses().http, "default").await?;
    let nonce = raw.challenge().await?;
    raw.say(raw::hello(&nonce, &tenant("default")?, identity)?.to_string()).await?;
    Ok(raw::code_of(&in_time("the answer", raw.message()).await??))
}
