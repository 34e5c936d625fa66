//! A node is killed while its devices are rung.
//!
//! At one node are those who invite, each again and again at its own pace; at the second and the third
//! those whom they invite. The second is killed: its devices find their connections broken and come back to
//! the third at once. Their silence is from the kill until the next ring.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::try_join_all;
use switchhook_protocol::{
    client::{Ack, ClientMessage, Cursor, Said},
    id::Epoch,
};
use tokio::{
    sync::watch,
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{micros, now},
    device::{Device, Head},
    installation::{Installation, Server},
    load,
    series::{Latencies, Series},
    socket::{Door, Socket},
};

/// Devices that are rung at each of the two nodes.
const RUNG: u32 = 8;

/// Devices that take part.
pub(super) const DEVICES: u32 = 4 * RUNG;

/// How often each is rung.
const EVERY: Duration = Duration::from_millis(50);

/// How often each rings while all goes well, and then after the kill.
const WELL: usize = 40;
const AFTER: usize = 40;

/// Until a device is given up that does not ring so often.
const PATIENCE: Duration = Duration::from_mins(1);

/// In milliseconds, over all rounds.
#[derive(Default)]
pub(super) struct Found {
    /// Of the devices of the dead node, the one in the middle.
    pub(super) silence: Series,
    pub(super) longest: Series,
    /// The longest pause at another node, after the kill and before.
    pub(super) elsewhere: Series,
    pub(super) before: Series,
}

/// A device that is rung.
struct Rung<'a> {
    installation: &'a Installation,
    device: &'a Device,
    socket: Socket,
    epoch: Epoch,
    /// Where it goes when its connection breaks.
    other: &'a Door,
    rang: watch::Sender<Vec<Instant>>,
}

impl Found {
    pub(super) async fn round(
        &mut self,
        installation: &Installation,
        nodes: Vec<Server>,
    ) -> anyhow::Result<()> {
        let [first, mut second, third] = <[Server; 3]>::try_from(nodes).ok().context("three nodes")?;
        let (dies, other) = (second.door.clone(), &third.door);
        let (mut there, mut elsewhere) = (Vec::new(), Vec::new());
        let mut inviting = Vec::new();
        for pair in 0..2 * RUNG {
            let (from, to) = (installation.device(2 * pair)?, installation.device(2 * pair + 1)?);
            inviting.push(Inviting::connect(installation, &first.door, from, to).await?);
            let (group, door) = if pair < RUNG { (&mut there, &dies) } else { (&mut elsewhere, other) };
            group.push(Rung::connect(installation, to, [door, other]).await?);
        }
        let (end, all) = (CancellationToken::new(), Watched::all(there.iter().chain(&elsewhere)));
        let invites = try_join_all(inviting.iter_mut().map(|inviting| inviting.invite(&end)));
        let rings = try_join_all(there.iter_mut().chain(&mut elsewhere).map(|rung| rung.listen(&end)));
        let killed = timeout(PATIENCE, killed(all, &mut second, &end));
        let killing = async { killed.await.context("a device rings no more")? };
        let (_, _, killed) = tokio::try_join!(invites, rings, killing)?;
        let silences = there.iter().map(|rung| rung.silence(killed)).collect::<anyhow::Result<Vec<_>>>()?;
        let longest = silences.iter().max().copied().unwrap_or_default();
        self.silence.push(silences.into_iter().collect::<Latencies>().quantiles().0 / 1e3);
        self.longest.push(micros(longest) / 1e3);
        self.elsewhere.push(pause(&elsewhere, |at| at >= killed));
        self.before.push(pause(&elsewhere, |at| at < killed));
        Ok(())
    }
}

/// Kills the node when all devices ring well, and ends when they have rung again for a while; says when it
/// was killed.
async fn killed(mut all: Watched, node: &mut Server, end: &CancellationToken) -> anyhow::Result<Instant> {
    all.have_rung(WELL, now()).await?;
    let at = now();
    node.process.kill()?;
    all.have_rung(AFTER, at).await?;
    end.cancel();
    Ok(at)
}

/// What devices have heard.
struct Watched(Vec<watch::Receiver<Vec<Instant>>>);

impl Watched {
    fn all<'a>(rung: impl Iterator<Item = &'a Rung<'a>>) -> Self {
        Self(rung.map(|rung| rung.rang.subscribe()).collect())
    }

    /// Waits until each has rung so often since then.
    async fn have_rung(&mut self, times: usize, since: Instant) -> anyhow::Result<()> {
        for device in &mut self.0 {
            device.wait_for(|rang| rang.iter().filter(|at| **at >= since).count() >= times).await?;
        }
        Ok(())
    }
}

/// A device that invites another.
struct Inviting {
    socket: Socket,
    invite: String,
}

impl Inviting {
    async fn connect(
        installation: &Installation,
        door: &Door,
        from: &Device,
        to: &Device,
    ) -> anyhow::Result<Self> {
        let socket = from.connect(door, installation.who()).await?;
        Ok(Self { socket, invite: load::invite(installation, from, to)? })
    }

    async fn invite(&mut self, end: &CancellationToken) -> anyhow::Result<()> {
        let mut due = interval(EVERY);
        while !end.is_cancelled() {
            due.tick().await;
            self.socket.say(self.invite.as_str()).await?;
            load::hear_answer(&mut self.socket).await?;
        }
        Ok(())
    }
}

impl<'a> Rung<'a> {
    async fn connect(
        installation: &'a Installation,
        device: &'a Device,
        [door, other]: [&'a Door; 2],
    ) -> anyhow::Result<Self> {
        let (socket, welcome) = device.resume(door, installation.who(), None).await?;
        Ok(Self { installation, device, socket, epoch: welcome.epoch, other, rang: watch::Sender::default() })
    }

    /// Listens to the end, at another node from when its own is gone.
    async fn listen(&mut self, end: &CancellationToken) -> anyhow::Result<()> {
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
                    self.socket.say(ClientMessage::say(&Said::Ack(&Ack { seq }))?).await.unwrap_or_default();
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
    fn rang(&self) -> Vec<Instant> {
        self.rang.borrow().clone()
    }

    fn silence(&self, from: Instant) -> anyhow::Result<Duration> {
        let rang = self.rang();
        let next = rang.iter().find(|at| **at >= from).context("it heard nothing more")?;
        Ok(next.duration_since(from))
    }
}

/// The longest between two rings of one device, in milliseconds.
fn pause(rung: &[Rung<'_>], when: impl Fn(Instant) -> bool) -> f64 {
    let longest = |rung: &Rung<'_>| {
        let rang = rung.rang();
        let (all, next) = (rang.iter(), rang.iter().skip(1));
        all.zip(next).filter(|(at, _)| when(**at)).map(|(at, next)| next.duration_since(*at)).max()
    };
    micros(rung.iter().filter_map(longest).max().unwrap_or_default()) / 1e3
}
