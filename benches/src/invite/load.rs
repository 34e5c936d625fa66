//! Pairs of devices that call each other.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use futures_util::future::try_join;
use rand::RngExt as _;
use switchhook_protocol::{
    client::{Ack, ClientMessage, Said},
    connection_data::ConnectionData,
    device_key::{KeyBytes, Statement},
    invitation::{Invite, TakeMode},
    peer::SessionKey,
};
use tokio::task::JoinSet;

use crate::{
    clock::{micros, now},
    device::{Device, Head, Socket},
    installation::Installation,
    process::Running,
    series::Latencies,
};

/// Before anything is measured.
pub(super) const WARM: Duration = Duration::from_secs(2);

/// Each measurement. All of a server's life is shorter than a ring (30 s), so that no ring ends in it.
pub(super) const MEASURED: Duration = Duration::from_secs(6);

/// When the next invite begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// When the one before has rung.
    ClosedLoop,
    /// So many a second, all pairs together.
    PerSecond(f64),
}

/// All pairs, connected.
pub(super) struct Load(Vec<Pair>);

/// What one run showed.
pub(super) struct Ran {
    pub(super) per_second: f64,
    /// Processor time of the server for each invite, in µs.
    pub(super) processor_micros: f64,
    pub(super) latencies: Latencies,
}

/// When one pair's invites are due.
#[derive(Clone, Copy)]
struct Paced {
    first: Instant,
    every: Duration,
}

struct Pair {
    inviter: Socket,
    invited: Socket,
    /// The invite's frame, the same each time: what costs the generator nothing is left to the server.
    invite: String,
}

impl Load {
    pub(super) async fn connect(installation: &Installation, server: SocketAddr) -> anyhow::Result<Self> {
        let Installation { tenant, key, devices, .. } = installation;
        let mut pairs = Vec::new();
        for pair in devices.as_chunks::<2>().0 {
            let [from, to] = pair;
            let who = (tenant, key);
            pairs.push(Pair {
                inviter: from.connect(server, Ipv4Addr::LOCALHOST, who).await?,
                invited: to.connect(server, Ipv4Addr::LOCALHOST, who).await?,
                invite: invite(installation, from, to)?,
            });
        }
        Ok(Self(pairs))
    }

    /// Lets all pairs call for a while.
    pub(super) async fn run(&mut self, pace: Pace, time: Duration, server: &Running) -> anyhow::Result<Ran> {
        let (started, processor) = (now(), server.processor_time()?);
        let paced = self.paced(pace, started)?;
        let mut calling = JoinSet::new();
        for (mut pair, paced) in self.0.drain(..).zip(paced) {
            calling.spawn(async move { pair.call(paced, started + time).await.map(|took| (pair, took)) });
        }
        let mut latencies = Latencies::default();
        while let Some(called) = calling.join_next().await {
            let (pair, took) = called??;
            latencies.extend(took);
            self.0.push(pair);
        }
        let (took, processor) = (started.elapsed(), server.processor_time()?.saturating_sub(processor));
        Ok(Ran {
            per_second: latencies.count() / took.as_secs_f64(),
            processor_micros: micros(processor) / latencies.count(),
            latencies,
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

impl Pair {
    /// Invites again and again; says how long each took to ring.
    async fn call(&mut self, pace: Option<Paced>, until: Instant) -> anyhow::Result<Latencies> {
        let mut latencies = Latencies::default();
        let mut due = pace.map_or_else(now, |pace| pace.first);
        while due < until {
            let began = begin(due).await;
            latencies.push(self.invite().await?.duration_since(began));
            due = pace.map_or_else(now, |pace| due + pace.every);
        }
        Ok(latencies)
    }

    /// One invite; says when it rang.
    async fn invite(&mut self) -> anyhow::Result<Instant> {
        let Self { inviter, invited, invite } = self;
        inviter.say(invite.as_str()).await?;
        let answered = async {
            let text = inviter.hear().await?;
            let head = Head::of(&text)?;
            anyhow::ensure!(head.kind == "answer" && head.error.is_none(), "{text}");
            Ok(())
        };
        let rang = async {
            let text = invited.hear().await?;
            let rang = now();
            let Head { kind: "event", seq: Some(seq), .. } = Head::of(&text)? else {
                anyhow::bail!("{text}")
            };
            invited.say(ClientMessage::say(&Said::Ack(&Ack { seq }))?).await?;
            Ok(rang)
        };
        try_join(answered, rang).await.map(|((), rang)| rang)
    }
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

fn invite(installation: &Installation, from: &Device, to: &Device) -> anyhow::Result<String> {
    let public = [7; 32];
    let statement = Statement::SessionKey { tenant: &installation.tenant, public: &public };
    let signature = installation.key.sign(&statement);
    let invite = Invite {
        invited: vec![to.endpoint.clone()],
        from: from.endpoint.clone(),
        purpose: "audio".to_owned(),
        display_name: "Alice".to_owned(),
        connection_data: ConnectionData::default(),
        session_key: SessionKey { public: KeyBytes(public.to_vec()), signature },
        take: TakeMode::First,
    };
    Ok(ClientMessage::request(&"1".parse()?, &invite)?)
}
