//! Alice at one node, Bob's two devices at the others, and Carol; what befalls their nodes.

use anyhow::{Context as _, Result};
use switchhook_protocol::{
    event::{Event, Rung},
    id::SessionId,
    invitation::{Accepted, Decline, Invite, InviteStatus, StopReason, TakeMode},
    session::{Change, End, SessionUpdate},
};
use switchhook_tests::phone::{Phone, open};

use crate::stage::{NODES, Somebody, Stage};

pub(crate) const ALICE: &str = "+15550100";
pub(crate) const BOB: &str = "+15550101";
pub(crate) const CAROL: &str = "+15550102";

/// What befalls a node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blow {
    /// It ends at once.
    Kill,
    /// It stops without a word.
    Freeze,
}

/// Everybody.
pub(crate) struct People {
    pub(crate) alice: Somebody,
    pub(crate) bob: Somebody,
    pub(crate) tablet: Somebody,
    pub(crate) carol: Somebody,
}

impl People {
    pub(crate) async fn meet(stage: &Stage) -> Result<Self> {
        let (alice, bob) = (stage.phone(ALICE, 0).await?, stage.phone(BOB, 1).await?);
        let tablet = stage.device("tablet", BOB, 2).await?;
        Ok(Self { alice, bob, tablet, carol: stage.phone(CAROL, Self::CAROLS).await? })
    }

    /// The node of the fourth.
    const CAROLS: usize = 0;

    fn each(&mut self) -> [(usize, &mut Somebody); 4] {
        let Self { alice, bob, tablet, carol } = self;
        [(0, alice), (1, bob), (2, tablet), (Self::CAROLS, carol)]
    }

    /// A node is struck, and its clients go to the next.
    pub(crate) async fn strike(&mut self, stage: &mut Stage, (node, blow): (usize, Blow)) -> Result<()> {
        let struck = stage.nodes.get_mut(node).context("no such node")?;
        match blow {
            Blow::Kill => struck.process.kill().await?,
            Blow::Freeze => struck.process.freeze()?,
        }
        let next = (node + 1) % NODES;
        for (_, somebody) in self.each() {
            if somebody.node == node {
                somebody.point_at(next, stage.node(next)?);
            }
        }
        Ok(())
    }

    /// The node comes back, and everybody goes where they were.
    pub(crate) async fn recover(&mut self, stage: &mut Stage, (node, blow): (usize, Blow)) -> Result<()> {
        match blow {
            Blow::Kill => stage.start_again(node).await?,
            Blow::Freeze => stage.node(node)?.process.thaw()?,
        }
        for (home, somebody) in self.each() {
            if somebody.node != home {
                somebody.point_at(home, stage.node(home)?);
            }
        }
        Ok(())
    }

    /// Alice invites Bob; the purpose says how it is routed.
    pub(crate) async fn invite(&self, purpose: &str, take: TakeMode) -> Result<InviteStatus> {
        self.invite_all(&[BOB], purpose, take).await
    }

    pub(crate) async fn invite_all(
        &self,
        invited: &[&str],
        purpose: &str,
        take: TakeMode,
    ) -> Result<InviteStatus> {
        let invite = async |phone: &Phone| {
            let invite = phone.invite_of(&phone.prepare(&open()).await?, invited)?;
            Ok(phone.client.invite(&Invite { purpose: purpose.to_owned(), take, ..invite }).await)
        };
        self.alice.insist("the invite", invite).await
    }

    /// Bob's phone is in a call with Alice: what she and it were told.
    pub(crate) async fn connect(&mut self) -> Result<(SessionId, Accepted, Accepted)> {
        let session = self.invite("audio", TakeMode::First).await?.session;
        let rung = self.bob.ring(&session).await?;
        let bobs = self.bob.accept(&rung).await?;
        let alices = self.alice.phone.expect_accept(&session).await?;
        let stopped = self.tablet.phone.expect_cancel(&session).await?;
        anyhow::ensure!(stopped == StopReason::AnsweredElsewhere, "{stopped:?}");
        Ok((session, alices, bobs))
    }

    /// Alice leaves, which ends it.
    pub(crate) async fn end(&self, ticket: &str) -> Result<()> {
        self.alice.end(ticket).await
    }
}

impl Somebody {
    /// The ring of a session.
    pub(crate) async fn ring(&mut self, session: &SessionId) -> Result<Rung> {
        let of_this = |event: &Event| {
            let Event::Invite(rung) = event else { return None };
            (rung.session == *session).then(|| rung.clone())
        };
        self.phone.expect_event("the ring", of_this).await
    }

    pub(crate) async fn accept(&self, rung: &Rung) -> Result<Accepted> {
        self.insist("the accept", async |phone| phone.accept(rung).await).await
    }

    pub(crate) async fn decline(&self, rung: &Rung) -> Result<()> {
        let decline = Decline { ticket: rung.ticket.clone(), reason: "later".to_owned() };
        self.insist("the decline", async |phone| Ok(phone.client.decline(&decline).await)).await.map(drop)
    }

    pub(crate) async fn end(&self, ticket: &str) -> Result<()> {
        let end = End { ticket: ticket.to_owned(), reason: "hung-up".to_owned() };
        self.insist("the end", async |phone| Ok(phone.client.end(&end).await)).await.map(drop)
    }

    pub(crate) async fn tell(&self, ticket: &str, word: &str) -> Result<()> {
        let update = SessionUpdate { ticket: ticket.to_owned(), data: word.into(), idempotency_key: None };
        self.insist("the update", async |phone| Ok(phone.client.session_update(&update).await))
            .await
            .map(drop)
    }

    /// The next change of a session of which something is wanted.
    pub(crate) async fn change<T>(
        &mut self,
        session: &SessionId,
        what: &str,
        mut wanted: impl FnMut(&Change) -> Option<T>,
    ) -> Result<T> {
        let of_this = |event: &Event| {
            let Event::SessionUpdate(changed) = event else { return None };
            if changed.session == *session { wanted(&changed.change) } else { None }
        };
        self.phone.expect_event(what, of_this).await
    }

    /// Waits until it is told this word.
    pub(crate) async fn told(&mut self, session: &SessionId, word: &str) -> Result<()> {
        let is_it = |change: &Change| {
            let Change::Told { data } = change else { return None };
            (data == word).then_some(())
        };
        self.change(session, "the word", is_it).await
    }

    /// Waits until it hears that the session is over.
    pub(crate) async fn over(&mut self, session: &SessionId) -> Result<()> {
        let is_over = |change: &Change| matches!(change, Change::Ended { .. }).then_some(());
        self.change(session, "the end", is_over).await
    }
}
