//! Relay hosts die, come back, and end; the server goes away.

use anyhow::{Context as _, Result};
use reqwest::StatusCode;
use serde_json::json;
use switchhook_client::relay::Allocation;
use switchhook_tests::{
    admin::Admin,
    phone::open,
    relay_host::RelayHost,
    waiting::{in_time, until},
};

use super::{Agreed, PROGRAM, Stage, relay_of};

/// REL-1.two-hosts: it has the same id and keys, so what was given out before it died serves again.
#[tokio::test]
async fn rel_1_a_relay_host_that_dies_is_not_chosen_until_it_is_back() -> Result<()> {
    let mut stage = Stage::start().await?;
    let before = stage.agree().await?;
    let (id, relay) = (stage.eu.id.clone(), stage.eu.relay);
    stage.eu.kill().await?;
    stage.host.admin.relay_host_is(&id, &json!({ "state": "dead" })).await?;

    let Agreed { inviter: (_, inviter), callee: (_, callee) } = stage.agree().await?;
    assert_eq!(relay_of(&inviter)?.server, stage.us.relay, "the nearest that is left");
    assert_eq!(relay_of(&callee)?.server, stage.us.relay);

    let token = stage.host.admin.add_relay_host(&id).await?;
    let server = (stage.host.addresses().http, &*token);
    stage.eu = RelayHost::start(PROGRAM, server, &relay.to_string(), ["--region", "eu"]).await?;
    assert_eq!((&stage.eu.id, stage.eu.relay), (&id, relay));
    stage.host.admin.relay_host_is(&id, &json!({ "state": "alive" })).await?;
    let after = stage.agree().await?;
    assert_eq!(relay_of(&after.inviter.1)?.server, relay);
    for accepted in [&before.inviter.1, &after.inviter.1] {
        in_time("the allocation", Allocation::open(&*open(), relay_of(accepted)?)).await??;
    }
    Ok(())
}

#[tokio::test]
async fn rel_3_while_no_server_answers_a_relay_host_goes_on_with_the_keys_that_it_has() -> Result<()> {
    let mut stage = Stage::start().await?;
    let Agreed { inviter: (_, inviter), callee: (_, callee) } = stage.agree().await?;
    let _hers = in_time("the allocation", Allocation::open(&*open(), relay_of(&inviter)?)).await??;
    stage.host.stop().await;

    let his = in_time("the allocation", Allocation::open(&*open(), relay_of(&callee)?)).await??;
    assert_eq!(his.relayed().ip(), stage.us.relay.ip());

    stage.host.start_again().await?;
    for id in [&stage.eu.id, &stage.us.id] {
        stage.host.admin.relay_host_is(id, &json!({ "state": "alive", "held": 1 })).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_relay_host_that_is_told_to_end_takes_nobody_and_ends_when_nobody_uses_it() -> Result<()> {
    let mut stage = Stage::start().await?;
    let Agreed { inviter: (_, inviter), .. } = stage.agree().await?;
    let hers = in_time("the allocation", Allocation::open(&*open(), relay_of(&inviter)?)).await??;

    stage.eu.terminate()?;
    stage.host.admin.relay_host_is(&stage.eu.id, &json!({ "state": "leaving", "held": 1 })).await?;
    let Agreed { inviter: (_, inviter), .. } = stage.agree().await?;
    assert_eq!(relay_of(&inviter)?.server, stage.us.relay);

    drop(hers);
    assert!(stage.eu.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn an_operator_sees_whether_people_are_sent_to_a_relay_host_and_what_it_counts() -> Result<()> {
    let mut stage = Stage::start().await?;
    let eu = Admin::new(stage.eu.http.context("no port for operators")?, "");
    assert_eq!(eu.public("healthz").await?, (StatusCode::OK, "ok\n".to_owned()));
    until("readiness", async || Ok((eu.public("readyz").await?.0 == StatusCode::OK).then_some(()))).await?;
    assert_eq!(eu.metric("switchhook_relay_allocations").await?, Some(0.0));
    let Agreed { inviter: (_, inviter), .. } = stage.agree().await?;
    let hers = in_time("the allocation", Allocation::open(&*open(), relay_of(&inviter)?)).await??;
    assert_eq!(eu.metric("switchhook_relay_allocations").await?, Some(1.0));

    stage.eu.terminate()?;
    let leaving = async || {
        let (status, said) = eu.public("readyz").await?;
        Ok((status != StatusCode::OK).then_some((status, said)))
    };
    let (status, said) = until("the end of readiness", leaving).await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(said.contains("ends when nobody uses it any more"), "{said}");
    assert_eq!(eu.public("healthz").await?.0, StatusCode::OK, "it lives on");
    assert_eq!(eu.public("admin/v1/relay-hosts").await?.0, StatusCode::NOT_FOUND);

    drop(hers);
    assert!(stage.eu.ended().await?.success());
    Ok(())
}
