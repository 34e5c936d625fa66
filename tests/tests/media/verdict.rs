//! The NAT policy decides on what CDX observed (NAT-1, NAT-3).

use anyhow::Result;
use switchhook_protocol::{
    connection_data::{ConnectionData, Filtering, Mapping},
    error::ErrorCode,
    peer::Path,
};
use switchhook_tests::{
    phone::{open, refusal},
    waiting::in_time,
};

use crate::{BOB, accepts, stage, symmetric};

#[tokio::test]
async fn nat_3_two_open_devices_are_judged_direct() -> Result<()> {
    let (host, mut alice, mut bob) = stage().await?;
    let accepts = accepts((&mut alice, &mut bob), (&open(), &open()), |_| {}).await?;
    assert!(matches!(accepts.inviter.1.path, Path::Direct { .. }), "{:?}", accepts.inviter.1.path);
    assert!(host.admin.verdict(&accepts.session).await?.starts_with("direct"));
    Ok(())
}

#[tokio::test]
async fn nat_1_a_claim_that_an_observation_contradicts_changes_no_verdict() -> Result<()> {
    let (host, mut alice, mut bob) = stage().await?;
    let lie = |data: &mut ConnectionData| {
        data.claimed.mapping = Mapping::None;
        data.claimed.filtering = Filtering::None;
    };
    let accepts = accepts((&mut alice, &mut bob), (&symmetric(), &symmetric()), lie).await?;
    assert!(matches!(accepts.callee.1.path, Path::Relay { .. }), "{:?}", accepts.callee.1.path);
    assert_eq!(host.admin.verdict(&accepts.session).await?, "relay");
    Ok(())
}

#[tokio::test]
async fn nat_1_an_observation_that_cdx_did_not_seal_is_refused() -> Result<()> {
    let (_host, mut alice, bob) = stage().await?;
    let prepared = alice.prepare(&open()).await?;
    let mut invite = alice.invite_of(&prepared, &[BOB])?;
    assert_eq!(invite.connection_data.observed.len(), 2, "both ports of CDX answered");
    for sealed in &mut invite.connection_data.observed {
        *sealed = sealed.replace(['A', 'Q', 'c'], "B");
    }
    let refused = in_time("the invite", alice.client.invite(&invite)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::BadObservation);
    assert!(alice.heard().await?.len() < 3, "nothing but the connection was heard of");
    drop(bob);
    Ok(())
}
