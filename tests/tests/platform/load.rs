//! A router is exchanged under a running load of invites, and no invite fails.

use anyhow::Result;
use serde_json::json;
use switchhook_built_guests as guests;
use switchhook_core::limits::Limits;
use switchhook_tests::host::Host;
use tokio_util::sync::CancellationToken;

use crate::{ALICE, BOB, routed, upload};

const ROUTER: &str = "invite-router/my-router";

/// Exchanges while the load runs.
const EXCHANGES: usize = 6;

#[tokio::test]
async fn plug_1_activation_and_rollback_under_load_lose_no_invite() -> Result<()> {
    let host = Host::with(|settings| {
        let Limits { invites_of_device, invites_of_identifier, invites_of_pair, .. } = &mut settings.limits;
        (*invites_of_device, *invites_of_identifier, *invites_of_pair) = (u32::MAX, u32::MAX, u32::MAX);
    })
    .await?;
    let (alice, _bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let version = upload(&host.admin, ROUTER, guests::HUNTS).await?;
    let done = CancellationToken::new();
    let load = async {
        let mut sessions = vec![];
        while !done.is_cancelled() {
            sessions.push(alice.invite(BOB).await?.session);
        }
        anyhow::Ok(sessions)
    };
    let exchanges = async {
        for _ in 0..EXCHANGES {
            host.admin.changed(ROUTER, "activate", &json!({ "version": version })).await?;
            alice.invite(BOB).await?;
            host.admin.changed(ROUTER, "rollback", &json!({ "mode": "drain" })).await?;
            alice.invite(BOB).await?;
        }
        done.cancel();
        anyhow::Ok(())
    };

    let (sessions, exchanged) = tokio::join!(load, exchanges);

    exchanged?;
    let sessions = sessions?;
    assert!(sessions.len() >= EXCHANGES, "{} invites", sessions.len());
    for session in sessions.iter().rev().take(200) {
        let (plugin, _, failure) = routed(&host, session.as_str()).await?;
        assert!(["my-router", "route-ring-all"].contains(&plugin.as_str()), "{plugin}");
        assert_eq!(failure, None);
    }
    Ok(())
}
