//! Devices that are rung on and on, each by one that invites it at its own pace.

use std::{
    ops::RangeBounds,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use switchhook_protocol::{
    client::{Ack, ClientMessage, Cursor, Said},
    id::Epoch,
};
use tokio::{sync::watch, time::interval};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{micros, now},
    device::{Device, Head},
    installation::Installation,
    load,
    socket::{Door, Socket},
};

/// A device that is rung.
pub(super) struct Rung<'a> {
    installation: &'a Installation,
    device: &'a Device,
    socket: Socket,
    epoch: Epoch,
    /// Where it goes when its connection breaks.
    other: &'a Door,
    rang: watch::Sender<Vec<Instant>>,
}

/// What devices have heard.
pub(super) struct Watched(Vec<watch::Receiver<Vec<Instant>>>);

impl Watched {
    pub(super) fn all<'a>(rung: impl Iterator<Item = &'a Rung<'a>>) -> Self {
        Self(rung.map(|rung| rung.rang.subscribe()).collect())
    }

    /// Waits until each has rung so often since then.
    pub(super) async fn have_rung(&mut self, times: usize, since: Instant) -> anyhow::Result<()> {
        for device in &mut self.0 {
            device.wait_for(|rang| rang.iter().filter(|at| **at >= since).count() >= times).await?;
        }
        Ok(())
    }
}

/// A device that invites another.
pub(super) struct Inviting {
    socket: Socket,
    invite: String,
}

impl Inviting {
    pub(super) async fn connect(
        installation: &Installation,
        door: &Door,
        from: &Device,
        to: &Device,
    ) -> anyhow::Result<Self> {
        let socket = from.connect(door, installation.who()).await?;
        Ok(Self { socket, invite: load::invite(installation, from, to)? })
    }

    /// Again and again, at this pace.
    pub(super) async fn invite(&mut self, every: Duration, end: &CancellationToken) -> anyhow::Result<()> {
        let mut due = interval(every);
        while !end.is_cancelled() {
            due.tick().await;
            self.socket.say(self.invite.as_str()).await?;
            load::hear_answer(&mut self.socket).await?;
        }
        Ok(())
    }
}

impl<'a> Rung<'a> {
    pub(super) async fn connect(
        installation: &'a Installation,
        device: &'a Device,
        [door, other]: [&'a Door; 2],
    ) -> anyhow::Result<Self> {
        let (socket, welcome) = device.resume(door, installation.who(), None).await?;
        Ok(Self { installation, device, socket, epoch: welcome.epoch, other, rang: watch::Sender::default() })
    }

    /// Listens to the end, at another node from when its own is gone.
    pub(super) async fn listen(&mut self, end: &CancellationToken) -> anyhow::Result<()> {
        let mut seq = 0;
        while let Some(heard) = end.run_until_cancelled(self.socket.hear()).await {
            match heard {
                Ok(text) => {
                    let head = Head::of(&text)?;
                    if head.kind == Some("invite") {
                        self.rang.send_modify(|rang| rang.push(now()));
                    }
                    seq = head.seq.context("an event")?;
                    // It is the next `hear` that finds the connection broken.
                    self.socket
                        .say(ClientMessage::say(&Said::Ack(&Ack { epoch: None, seq }))?)
                        .await
                        .unwrap_or_default();
                }
                Err(_broken) => {
                    let cursor = Cursor { epoch: self.epoch.clone(), seq };
                    let back = self.device.resume(self.other, self.installation.who(), Some(cursor));
                    self.socket = back.await?.0;
                }
            }
        }
        Ok(())
    }

    /// When it rang.
    pub(super) fn rang(&self) -> Vec<Instant> {
        self.rang.borrow().clone()
    }

    pub(super) fn silence(&self, from: Instant) -> anyhow::Result<Duration> {
        let rang = self.rang();
        let next = rang.iter().find(|at| **at >= from).context("it heard nothing more")?;
        Ok(next.duration_since(from))
    }
}

/// The longest between two rings of one device, in milliseconds, of those that ended in this time.
pub(super) fn pause(rung: &[Rung<'_>], ended: impl RangeBounds<Instant>) -> f64 {
    let longest = |rung: &Rung<'_>| {
        let rang = rung.rang();
        let pairs = rang.iter().zip(rang.iter().skip(1)).filter(|(_, next)| ended.contains(*next));
        pairs.map(|(at, next)| next.duration_since(*at)).max()
    };
    micros(rung.iter().filter_map(longest).max().unwrap_or_default()) / 1e3
}
