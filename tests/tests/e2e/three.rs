//! Alice, and Bob with two devices.

use anyhow::Result;
use switchhook_client::ClientEvent;
use switchhook_protocol::{
    event::{Event, Rung},
    id::SessionId,
    invitation::{Invite, InviteStatus, TakeMode},
    server::PeerSignal,
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, open},
    waiting::in_time,
};

pub(crate) const ALICE: &str = "+15550100";
pub(crate) const BOB: &str = "+15550101";

/// Alice's phone; Bob's phone and tablet.
pub(crate) struct Three {
    pub(crate) host: Host,
    pub(crate) alice: Phone,
    pub(crate) phone: Phone,
    pub(crate) tablet: Phone,
}

/// A session that rings on both of Bob's devices.
pub(crate) struct Rings {
    pub(crate) status: InviteStatus,
    pub(crate) at_phone: Rung,
    pub(crate) at_tablet: Rung,
}

impl Three {
    pub(crate) async fn start() -> Result<Self> {
        Box::pin(async {
            let host = Host::start().await?;
            let alice = host.phone(ALICE).await?;
            let phone = host.phone(BOB).await?;
            let tablet = host.device("tablet", BOB).await?;
            Ok(Self { host, alice, phone, tablet })
        })
        .await
    }

    pub(crate) async fn ring(&mut self) -> Result<Rings> {
        let status = self.alice.invite(BOB).await?;
        let at_phone = self.phone.expect_invite().await?;
        let at_tablet = self.tablet.expect_invite().await?;
        Ok(Rings { status, at_phone, at_tablet })
    }

    /// The same, and the inviter chooses.
    pub(crate) async fn ring_to_choose(&mut self) -> Result<Rings> {
        let prepared = self.alice.prepare(&open()).await?;
        let invite = Invite { take: TakeMode::Choose, ..self.alice.invite_of(&prepared, &[BOB])? };
        let status = in_time("the invite", self.alice.client.invite(&invite)).await??;
        let at_phone = self.phone.expect_invite().await?;
        let at_tablet = self.tablet.expect_invite().await?;
        Ok(Rings { status, at_phone, at_tablet })
    }

    /// The word of a decline.
    pub(crate) async fn declined(&mut self, session: &SessionId) -> Result<String> {
        self.alice
            .expect_event("a decline", |event| {
                let Event::Decline(declined) = event else { return None };
                (declined.session == *session).then(|| declined.reason.clone())
            })
            .await
    }

    pub(crate) async fn heard_signal(&mut self) -> Result<PeerSignal> {
        self.alice
            .expect("a signal", |event| {
                if let ClientEvent::Signal(signal) = event { Some(signal.clone()) } else { None }
            })
            .await
    }
}
