//! The host dies while somebody rings.

use anyhow::Result;
use switchhook_client::ClientEvent;
use switchhook_tests::phone::Phone;

use crate::stage::{PROGRAM, Stage};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// INV-11.restart
#[tokio::test]
async fn inv_11_a_ticket_completes_the_call_after_the_host_was_killed() -> Result<()> {
    let mut stage = Stage::start(PROGRAM).await?;
    let (mut alice, mut bob) = (stage.phone().await?, stage.phone().await?);
    alice.register(&stage.transit.carrier, &ALICE.parse()?).await?;
    bob.register(&stage.transit.carrier, &BOB.parse()?).await?;
    let invited = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;

    stage.kill_and_start_again().await?;
    for phone in [&mut alice, &mut bob] {
        come_back(phone).await?;
    }

    let accepted = bob.accept(&rung).await??;
    assert_eq!(accepted.session, invited.session);
    let heard = alice.expect_accept(&invited.session).await?;
    assert_eq!(heard.media_key, accepted.media_key, "both sides have the key of one call");
    assert_eq!(stage.admin.invitation_state(&invited.session).await?, "taken");
    Ok(())
}

/// Waits until the phone has noticed that its connection was lost, and has another.
async fn come_back(phone: &mut Phone) -> Result<()> {
    let lost = |event: &ClientEvent| matches!(event, ClientEvent::Disconnected { .. }).then_some(());
    phone.expect("the end of the connection", lost).await?;
    let connected = |event: &ClientEvent| matches!(event, ClientEvent::Connected(_)).then_some(());
    phone.expect("a new connection", connected).await
}
