//! Pairs of devices that call each other.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{FutureExt as _, TryStreamExt as _, future::try_join};
use rand::RngExt as _;
use switchhook_protocol::{
    client::{Ack, ClientMessage, Said},
    connection_data::ConnectionData,
    device_key::{KeyBytes, Statement},
    error::ErrorBody,
    invitation::{Invite, TakeMode},
    peer::SessionKey,
};
use tokio::task::JoinSet;

use crate::{
    clock::{micros, now},
    device::{Device, Head},
    installation::{Installation, Server},
    series::Latencies,
    socket::{Socket, open},
};

/// Before anything is measured.
pub(crate) const WARM: Duration = Duration::from_secs(2);

/// Each measurement. All of a server's life is shorter than a ring (30 s), so that no ring ends in it.
pub(crate) const MEASURED: Duration = Duration::from_secs(6);

/// How long whoever was refused waits before it asks again, where the server does not say.
const REFUSED: Duration = Duration::from_secs(1);

/// When the next invite begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// When the one before has rung.
    ClosedLoop,
    /// So many a second, all pairs together.
    PerSecond(f64),
}

/// All pairs, connected.
pub(crate) struct Load(Vec<Pair>);

/// What one run showed.
pub(crate) struct Ran {
    pub(crate) per_second: f64,
    /// Processor time of the servers for each invite, in µs.
    pub(crate) processor_micros: f64,
    pub(crate) calls: Calls,
}

/// What invites came to.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// When each that rang was due, and how long it took from then on.
    pub(crate) rang: Vec<(Instant, Duration)>,
    /// Those that were answered by an error.
    pub(crate) refused: u32,
}

/// When one pair's invites are due.
#[derive(Clone, Copy)]
struct Paced {
    first: Instant,
    every: Duration,
}

/// Two devices; each may be at a node of its own.
pub(crate) struct Pair {
    inviter: Socket,
    invited: Socket,
    /// The invite's frame, the same each time: what costs the generator nothing is left to the server.
    invite: String,
}

impl Load {
    /// Connects pairs to these servers: the inviter to one in turn, the invited to the one after it.
    pub(crate) async fn connect(
        installation: &Installation,
        servers: &[Server],
        pairs: u32,
    ) -> anyhow::Result<Self> {
        let connect = |pair: u32| Pair::connect(installation, servers, pair);
        Ok(Self(open(0..pairs, connect).try_collect().await?))
    }

    /// Lets all pairs call for a while.
    pub(crate) async fn run(
        &mut self,
        pace: Pace,
        time: Duration,
        servers: &[Server],
    ) -> anyhow::Result<Ran> {
        let (started, processor) = (now(), processor_time(servers)?);
        let paced = self.paced(pace, started)?;
        let mut calling = JoinSet::new();
        for (mut pair, paced) in self.0.drain(..).zip(paced) {
            calling.spawn(async move { pair.call(paced, started + time).await.map(|calls| (pair, calls)) });
        }
        let mut calls = Calls::default();
        while let Some(called) = calling.join_next().await {
            let (pair, its) = called??;
            calls.extend(its);
            self.0.push(pair);
        }
        let (took, processor) = (started.elapsed(), processor_time(servers)?.saturating_sub(processor));
        Ok(Ran {
            per_second: calls.count() / took.as_secs_f64(),
            processor_micros: micros(processor) / calls.count(),
            calls,
        })
    }

    /// When each pair invites. Each from a moment of its own: together they come evenly, as strangers do.
    fn paced(&self, pace: Pace, started: Instant) -> anyhow::Result<Vec<Option<Paced>>> {
        let pairs = f64::from(u32::try_from(self.0.len())?);
        let mut rng = rand::rng();
        let mut paced = || match pace {
            Pace::ClosedLoop => None,
            Pace::PerSecond(rate) => {
                let every = Duration::from_secs_f64(pairs / rate);
                Some(Paced { first: started + every.mul_f64(rng.random()), every })
            }
        };
        Ok(self.0.iter().map(|_| paced()).collect())
    }
}

impl Calls {
    /// How many rang.
    pub(crate) fn count(&self) -> f64 {
        f64::from(u32::try_from(self.rang.len()).unwrap_or(u32::MAX))
    }

    pub(crate) fn latencies(&self) -> Latencies {
        self.rang.iter().map(|(_, took)| *took).collect()
    }

    fn extend(&mut self, other: Self) {
        self.rang.extend(other.rang);
        self.refused += other.refused;
    }
}

impl Pair {
    async fn connect(installation: &Installation, servers: &[Server], pair: u32) -> anyhow::Result<Self> {
        let (from, to) = (installation.device(2 * pair)?, installation.device(2 * pair + 1)?);
        let mut doors = servers.iter().map(|server| &server.door).cycle().skip(usize::try_from(pair)?);
        let (Some(here), Some(there)) = (doors.next(), doors.next()) else { anyhow::bail!("no server") };
        Ok(Self {
            inviter: from.connect(here, installation.who()).await?,
            invited: to.connect(there, installation.who()).await?,
            invite: invite(installation, from, to)?,
        })
    }

    /// Invites again and again until it is time to end.
    async fn call(&mut self, pace: Option<Paced>, until: Instant) -> anyhow::Result<Calls> {
        let mut calls = Calls::default();
        let mut due = pace.map_or_else(now, |pace| pace.first);
        while due < until {
            let began = begin(due).await;
            match self.invite().await? {
                Ok(rang) => calls.rang.push((began, rang.duration_since(began))),
                Err(refused) => {
                    calls.refused += 1;
                    tokio::time::sleep(refused.wait()).await;
                    self.forget()?;
                    // Whoever is told to wait does not call meanwhile.
                    due = due.max(now());
                }
            }
            due = pace.map_or_else(now, |pace| due + pace.every);
        }
        Ok(calls)
    }

    /// One invite; says when it rang.
    async fn invite(&mut self) -> anyhow::Result<Result<Instant, Refused>> {
        let Self { inviter, invited, invite } = self;
        inviter.say(invite.as_str()).await?;
        match try_join(hear_answer(inviter), hear_ring(invited)).await {
            Ok(((), rang)) => Ok(Ok(rang)),
            Err(error) => error.downcast().map(Err),
        }
    }

    /// Lets pass what rings although it was refused: its answer was late.
    fn forget(&mut self) -> anyhow::Result<()> {
        while let Some(rang) = hear_ring(&mut self.invited).now_or_never() {
            rang?;
        }
        Ok(())
    }
}

fn processor_time(servers: &[Server]) -> anyhow::Result<Duration> {
    servers.iter().map(|server| server.process.processor_time()).sum()
}

/// An invite's answer.
#[derive(Debug, thiserror::Error)]
#[error("refused: {0:?}")]
struct Refused(ErrorBody);

impl Refused {
    fn wait(&self) -> Duration {
        self.0.retry_after_ms.map_or(REFUSED, Duration::from_millis)
    }
}

/// Hears the answer to an invite; what came of earlier ones is passed over.
pub(crate) async fn hear_answer(inviter: &mut Socket) -> anyhow::Result<()> {
    loop {
        let text = inviter.hear().await?;
        match Head::of(&text)? {
            Head { of: "answer", error: Some(error), .. } => {
                return Err(Refused(serde_json::from_str(error.get())?).into());
            }
            Head { of: "answer", .. } => return Ok(()),
            Head { seq, .. } => acknowledge(inviter, seq).await?,
        }
    }
}

/// Hears a ring, and acknowledges it; the end of earlier ones is passed over.
async fn hear_ring(invited: &mut Socket) -> anyhow::Result<Instant> {
    loop {
        let text = invited.hear().await?;
        let heard = now();
        let Head { kind, seq, .. } = Head::of(&text)?;
        acknowledge(invited, seq).await?;
        if kind == Some("invite") {
            return Ok(heard);
        }
    }
}

async fn acknowledge(socket: &mut Socket, seq: Option<u64>) -> anyhow::Result<()> {
    let seq = seq.context("an event")?;
    socket.say(ClientMessage::say(&Said::Ack(&Ack { epoch: None, seq }))?).await
}

/// Waits until an invite is due; says from when it counts: one that is late because the one before took
/// long, from when it was due; otherwise from now, since a timer's own lateness is the generator's.
async fn begin(due: Instant) -> Instant {
    /// tokio's timers have milliseconds, rounded up.
    const LATENESS: Duration = Duration::from_millis(2);
    if due <= now() {
        return due;
    }
    tokio::time::sleep_until(due.into()).await;
    now().min(due + LATENESS)
}

/// The frame of an invite.
pub(crate) fn invite(installation: &Installation, from: &Device, to: &Device) -> anyhow::Result<String> {
    let public = [7; 32];
    let statement = Statement::SessionKey { tenant: &installation.tenant, public: &public };
    let signature = installation.key.sign(&statement);
    let invite = Invite {
        invited: vec![to.endpoint.clone()],
        dialled: vec![],
        from: from.endpoint.clone(),
        purpose: "audio".to_owned(),
        display_name: "Alice".to_owned(),
        connection_data: ConnectionData::default(),
        session_key: SessionKey { public: KeyBytes(public.to_vec()), signature },
        take: TakeMode::First,
        idempotency_key: None,
    };
    Ok(ClientMessage::request(&"1".parse()?, &invite)?)
}
