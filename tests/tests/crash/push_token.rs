//! The process dies while a device gets another push token (REG-1).

use anyhow::{Result, ensure};
use switchhook_client::CallError;
use switchhook_protocol::push_token::{PushTokenRenew, PushTokenRenewed};
use switchhook_server::DEFAULT_TENANT;
use switchhook_tests::{phone::Phone, python::Python, signed::Signer, waiting::in_time};

use crate::{
    deaths::{Death, at_each, death},
    stage::{PROGRAM, Stage, registrations},
};

const NUMBER: &str = "+15550100";

const ANOTHER: PushTokenRenew = PushTokenRenew { wraps: None };

/// Each with whether the device's token has been replaced, and nobody has heard by which.
const DEATHS: [Death<bool>; 2] =
    [death("commit.push-token-renew.before", false), death("commit.push-token-renew.after", true)];

#[tokio::test]
async fn reg_1_a_device_gets_another_push_token_and_keeps_its_number_wherever_the_process_dies() -> Result<()>
{
    let test = "reg_1_a_device_gets_another_push_token_and_keeps_its_number_wherever_the_process_dies";
    let Some(python) = Python::of(test) else { return Ok(()) };
    let mut stage = Stage::start(PROGRAM).await?;
    let phone = stage.phone().await?;
    renew(&phone).await??;
    let passed = stage.passed_since_enrolment().await?;
    at_each(&DEATHS, &passed, async |death| die_and_go_on(&python, death).await).await
}

async fn die_and_go_on(python: &Python, death: &Death<bool>) -> Result<()> {
    let mut stage = Stage::start(PROGRAM).await?;
    let mut phone = stage.phone().await?;
    phone.register(&stage.transit.carrier, &NUMBER.parse()?).await?;
    stage.process.arm(death.point).await?;

    ensure!(renew(&phone).await?.is_err(), "it was answered");
    stage.died().await?;
    stage.again().await?;

    let renewed = if death.left {
        // It enters by no token that it knows: its key is what gives it another one, by a signed request.
        let signer = Signer::new(python, stage.process.http, DEFAULT_TENANT, &phone.identity)?;
        signer.ask(&ANOTHER).await?
    } else {
        registrations(&phone).await?;
        renew(&phone).await??
    };
    let (settings, mut identity) = phone.leave().await;
    identity.push_token = renewed.push_token;
    let mut phone = Phone::connect(settings, identity).await?;
    assert_eq!(registrations(&phone).await?, [NUMBER.parse()?]);
    stage.kill_and_start_again().await?;
    assert_eq!(registrations(&phone).await?, [NUMBER.parse()?]);
    phone.register(&stage.transit.carrier, &"+15550102".parse()?).await
}

async fn renew(phone: &Phone) -> Result<Result<PushTokenRenewed, CallError>> {
    in_time("the answer", phone.client.push_token_renew(&ANOTHER)).await
}
