//! Memory of idle sockets (WebSocket), after `hello`: the server's, and that of others under the same sockets.
//!
//! Memory is the proportional set size of the server's process, before and after so many sockets; the
//! first two hundred come before, so that what is made once is not counted. The generator is this
//! process. Switchhook is looked at again after it has pinged everybody. Each server holds them plain
//! and through TLS (TLS 1.3 by its own library); the yardsticks are bare sockets of axum and, where it is
//! installed, mosquitto with MQTT over WebSocket after `CONNECT`.

mod mosquitto;

use std::time::Duration;

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinSet,
    time::{interval, timeout},
};

use self::mosquitto::Mosquitto;
use crate::{
    Options,
    installation::{Installation, Server},
    one_thread,
    process::Running,
    report::{Bound, Report},
    series::Series,
    socket::{Socket, open},
    tls::Certificate,
};

/// Sockets before the first look.
const FIRST: u32 = 200;

/// How often is looked whether memory still changes.
const LOOK: Duration = Duration::from_millis(500);

/// Memory that changes by no more between two looks has settled, in KiB: a hundredth of a KiB a socket.
const SAME: f64 = 100.0;

/// Until a server is given up that does not settle, or does not ping (it should each 25 s).
const PATIENCE: Duration = Duration::from_mins(1);

/// What all rounds show.
#[derive(Default)]
struct Found {
    ready: Series,
    alone: Series,
    plain: Ours,
    tls: Ours,
    small: Series,
    small_tls: Series,
    defaults: Series,
    mosquitto: Series,
    mosquitto_tls: Series,
}

/// KiB for each socket of Switchhook.
#[derive(Default)]
struct Ours {
    connected: Series,
    pinged: Series,
}

/// Sockets that are open, and what their server had before them.
struct Crowd<'a> {
    server: &'a Running,
    held: JoinSet<()>,
    /// With the first ones, in KiB.
    before: f64,
    /// Beyond the first ones.
    sockets: u32,
    /// Each socket lets go of its sender when it is pinged.
    pinged: (Option<Sender<()>>, Receiver<()>),
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    one_thread()?.block_on(async {
        let count = FIRST + options.sockets;
        let installation = Installation::prepare(options.server()?, options.on_disk()?, count).await?;
        let certificate = Certificate::make()?;
        let mut found = Found::default();
        for _ in 0..options.rounds {
            found.round(options, &installation, &certificate).await?;
        }
        Ok(found.report(options.sockets))
    })
}

impl Found {
    async fn round(
        &mut self,
        options: &Options,
        installation: &Installation,
        certificate: &Certificate,
    ) -> anyhow::Result<()> {
        let sockets = options.sockets;
        let server = installation.start(options.on_disk()?, "")?;
        self.ready.push(server.ready_after.as_secs_f64() * 1e3);
        self.alone.push(server.process.memory()? / 1024.0);
        self.plain.round(installation, server, sockets).await?;
        let mut server = installation.start(options.on_disk()?, &certificate.settings())?;
        server.door.tls = Some(certificate.believed.clone());
        self.tls.round(installation, server, sockets).await?;

        self.small.push(bare("small", None, sockets).await?);
        self.small_tls.push(bare("small", Some(certificate), sockets).await?);
        self.defaults.push(bare("defaults", None, sockets).await?);
        if mosquitto::is_installed() {
            self.mosquitto.push(mosquitto(None, sockets).await?);
            self.mosquitto_tls.push(mosquitto(Some(certificate), sockets).await?);
        }
        Ok(())
    }

    fn report(&self, sockets: u32) -> Report {
        let mut report = Report::new("memory of an idle WebSocket");
        report.figure(format!("switchhook after hello, {sockets} sockets"), "KiB", &self.plain.connected);
        report.figure("switchhook, after a round of pings", "KiB", &self.plain.pinged);
        report.figure("switchhook with TLS", "KiB", &self.tls.connected);
        report.figure("switchhook with TLS, after a round of pings", "KiB", &self.tls.pinged);
        report.figure("bare axum on hyper, buffers of 1 KiB", "KiB", &self.small);
        report.figure("the same with rustls", "KiB", &self.small_tls);
        report.figure("bare axum with its defaults", "KiB", &self.defaults);
        report.figure("switchhook without sockets", "MiB", &self.alone);
        report.figure("switchhook, from start to ready, compiled plugins kept", "ms", &self.ready);
        report.target("switchhook after a round of pings, KiB", &self.plain.pinged, Bound::AtMost(5.0));
        report.target(
            "over bare axum with 1 KiB",
            &self.plain.pinged.over(&self.small),
            Bound::AtMost(5.0 / 2.4),
        );
        report.target("with TLS after a round of pings, KiB", &self.tls.pinged, Bound::AtMost(14.0));
        if self.mosquitto.is_empty() {
            report.skipped("mosquitto", "it is not installed (Debian package mosquitto)");
        } else {
            report.figure("mosquitto, MQTT over WebSocket", "KiB", &self.mosquitto);
            report.figure("the same with TLS", "KiB", &self.mosquitto_tls);
            report.target("over mosquitto", &self.plain.pinged.over(&self.mosquitto), Bound::AtMost(1.0));
        }
        report.target("switchhook without sockets, MiB", &self.alone, Bound::AtMost(60.0));
        report.target("from start to ready, ms", &self.ready, Bound::AtMost(200.0));
        report
    }
}

impl Ours {
    async fn round(
        &mut self,
        installation: &Installation,
        server: Server,
        sockets: u32,
    ) -> anyhow::Result<()> {
        let door = &server.door;
        let connect =
            |number: u32| async move { installation.device(number)?.connect(door, installation.who()).await };
        let mut crowd = Crowd::gather(&server.process, sockets, connect).await?;
        self.connected.push(crowd.each().await?);
        crowd.all_pinged().await?;
        self.pinged.push(crowd.each().await?);
        Ok(())
    }
}

impl<'a> Crowd<'a> {
    async fn gather<Opening: Future<Output = anyhow::Result<Socket>> + Send>(
        server: &'a Running,
        sockets: u32,
        connect: impl Fn(u32) -> Opening + Send + Sync,
    ) -> anyhow::Result<Self> {
        let (sender, receiver) = channel(1);
        let pinged = (Some(sender), receiver);
        let mut crowd = Self { server, held: JoinSet::new(), before: 0.0, sockets, pinged };
        crowd.hold(0..FIRST, &connect).await?;
        crowd.before = settled(server).await?;
        crowd.hold(FIRST..FIRST + sockets, &connect).await?;
        Ok(crowd)
    }

    /// Opens sockets, and keeps each open by a task that answers pings.
    async fn hold<Opening: Future<Output = anyhow::Result<Socket>> + Send>(
        &mut self,
        numbers: std::ops::Range<u32>,
        connect: impl Fn(u32) -> Opening + Send,
    ) -> anyhow::Result<()> {
        let mut opened = std::pin::pin!(open(numbers, connect));
        while let Some(mut socket) = opened.try_next().await? {
            let unpinged = self.pinged.0.clone();
            self.held.spawn(async move {
                let mut alive = socket.pinged().await.is_ok();
                drop(unpinged);
                while alive {
                    alive = socket.hear().await.is_ok();
                }
            });
        }
        Ok(())
    }

    /// Waits until the server has pinged each.
    async fn all_pinged(&mut self) -> anyhow::Result<()> {
        self.pinged.0 = None;
        timeout(PATIENCE, self.pinged.1.recv()).await.context("not all are pinged")?;
        Ok(())
    }

    /// KiB a socket, as it stays.
    async fn each(&mut self) -> anyhow::Result<f64> {
        let held = settled(self.server).await? - self.before;
        anyhow::ensure!(self.held.try_join_next().is_none(), "sockets were lost");
        Ok(held / f64::from(self.sockets))
    }
}

/// Memory once it stays, in KiB: what is freed late is freed.
async fn settled(server: &Running) -> anyhow::Result<f64> {
    let settling = async {
        let (mut look, mut before) = (interval(LOOK), f64::INFINITY);
        loop {
            look.tick().await;
            let memory = server.memory()?;
            if (memory - before).abs() <= SAME {
                return Ok(memory);
            }
            before = memory;
        }
    };
    timeout(PATIENCE, settling).await.context("its memory does not stay")?
}

/// KiB a socket of a bare server.
async fn bare(kind: &str, certificate: Option<&Certificate>, sockets: u32) -> anyhow::Result<f64> {
    let (process, door) = Running::bare_sockets(kind, certificate)?;
    let connect = |number: u32| Socket::connect(&door, number, "/");
    Crowd::gather(&process, sockets, connect).await?.each().await
}

/// KiB a client of mosquitto.
async fn mosquitto(certificate: Option<&Certificate>, sockets: u32) -> anyhow::Result<f64> {
    let mosquitto = Mosquitto::start(certificate)?;
    let connect = |number: u32| mosquitto.connect(number);
    Crowd::gather(&mosquitto.process, sockets, connect).await?.each().await
}
