//! The client where no datagram gets out: it relays over TCP, through the network that it was given.

use std::sync::Arc;

use anyhow::{Result, ensure};
use switchhook_client::call::Call;
use switchhook_netlab::{Lab, Nat};
use switchhook_protocol::call::PathKind;

use crate::switchboard::{Place, Switchboard, Verdict, runtime};

/// REL-3.tcp, NAT-4
#[test]
fn rel_3_a_client_behind_a_gateway_without_udp_calls_through_the_relay_over_tcp() -> Result<()> {
    let test = "rel_3_a_client_behind_a_gateway_without_udp_calls_through_the_relay_over_tcp";
    // A network that lets out nothing but HTTPS reaches a relay on that port.
    for (nat, port) in [(Nat::NoUdp, 3_478), (Nat::HttpsOnly, 443)] {
        let Some(lab) = Lab::or_skip(test)? else { return Ok(()) };
        runtime()?.block_on(async {
            let board = Switchboard::with_relay_at(&lab, port).await?;
            // Side by side: each first waits for datagrams that never come back.
            let confined_calls = over_tcp(&lab, &board, [nat, Nat::Symmetric]);
            let confined_answers = over_tcp(&lab, &board, [Nat::Symmetric, nat]);
            tokio::try_join!(confined_calls, confined_answers)
        })?;
    }
    Ok(())
}

async fn over_tcp(lab: &Lab, board: &Switchboard, nats: [Nat; 2]) -> Result<()> {
    let [one, other] = nats;
    let sites = [Arc::new(lab.site(one)?), Arc::new(lab.site(other)?)];
    let relayed = Verdict::Relay { until_accepted: false };
    let mut talk = Box::pin(board.call_after(relayed, sites.map(Place::Site))).await?;
    talk.carries().await?;
    let paths = talk.calls.each_ref().map(Call::path);
    ensure!(paths == [Some(PathKind::Relay); 2], "{nats:?}: {paths:?}");
    Ok(())
}
