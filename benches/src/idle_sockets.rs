//! Memory of idle sockets (WebSocket), after `hello`: the server's, and that of bare ones of axum.
//!
//! Memory is the proportional set size of the server's process, before and after so many sockets; the
//! first two hundred come before, so that what is made once is not counted. The generator is this
//! process. The server is looked at again after it has pinged everybody.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::JoinSet;

use crate::{
    Options,
    device::Socket,
    installation::{Installation, Server},
    one_thread,
    process::Running,
    report::{Bound, Report},
    series::Series,
};

/// Sockets before the first look.
const FIRST: u32 = 200;

/// Sockets that are opened at the same time.
const AT_ONCE: usize = 64;

/// Until a process has settled: what is freed late is freed.
const SETTLED: Duration = Duration::from_secs(2);

/// Until every socket has been pinged by the server (each 25 s).
const PINGED: Duration = Duration::from_secs(28);

/// What one round of the server shows.
#[derive(Default)]
struct Ours {
    ready: Series,
    alone: Series,
    connected: Series,
    pinged: Series,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let runtime = one_thread()?;
    runtime.block_on(async {
        let count = FIRST + options.sockets;
        let installation = Installation::prepare(options.server()?, options.on_disk()?, count).await?;
        let mut ours = Ours::default();
        let [mut small, mut defaults] = <[Series; 2]>::default();
        for _ in 0..options.rounds {
            ours.round(&installation, installation.start(options.on_disk()?)?).await?;
            small.push(yardstick("small", options.sockets).await?);
            defaults.push(yardstick("defaults", options.sockets).await?);
        }
        Ok(ours.report(options.sockets, &small, &defaults))
    })
}

impl Ours {
    async fn round(&mut self, installation: &Installation, server: Server) -> anyhow::Result<()> {
        let Installation { tenant, key, devices, .. } = installation;
        let addr = server.addr;
        self.ready.push(server.ready_after.as_secs_f64() * 1e3);
        self.alone.push(server.process.memory()? / 1024.0);
        let connect = |number: u32| async move {
            let device = usize::try_from(number).ok().and_then(|number| devices.get(number));
            let Some(device) = device else { anyhow::bail!("more sockets than devices") };
            device.connect(addr, source(number), (tenant, key)).await
        };
        let mut held = JoinSet::new();
        let count = u32::try_from(devices.len())?;
        hold(&mut held, 0..FIRST, &connect).await?;
        let before = settled(&server.process).await?;
        hold(&mut held, FIRST..count, &connect).await?;
        let sockets = f64::from(count - FIRST);
        self.connected.push((settled(&server.process).await? - before) / sockets);
        tokio::time::sleep(PINGED).await;
        self.pinged.push((server.process.memory()? - before) / sockets);
        anyhow::ensure!(held.len() == devices.len() && held.try_join_next().is_none(), "sockets were lost");
        Ok(())
    }

    fn report(&self, sockets: u32, small: &Series, defaults: &Series) -> Report {
        let mut report = Report::new("memory of an idle WebSocket");
        report.figure(format!("switchhook after hello, {sockets} sockets"), "KiB", &self.connected);
        report.figure("switchhook, after a round of pings", "KiB", &self.pinged);
        report.figure("bare axum on hyper, buffers of 1 KiB", "KiB", small);
        report.figure("bare axum with its defaults", "KiB", defaults);
        report.figure("switchhook without sockets", "MiB", &self.alone);
        report.figure("switchhook, from start to ready, compiled plugins kept", "ms", &self.ready);
        report.target("switchhook after a round of pings, KiB", &self.pinged, Bound::AtMost(5.0));
        report.target("over bare axum with 1 KiB", &self.pinged.over(small), Bound::AtMost(5.0 / 2.4));
        report.target("switchhook without sockets, MiB", &self.alone, Bound::AtMost(60.0));
        report.target("from start to ready, ms", &self.ready, Bound::AtMost(200.0));
        report
    }
}

/// KiB a socket of a bare server.
async fn yardstick(kind: &str, sockets: u32) -> anyhow::Result<f64> {
    let (process, addr) = Running::yardstick(&["serve-sockets", kind])?;
    let addr: SocketAddr = addr.parse()?;
    let connect = |number: u32| Socket::connect(addr, source(number), "/");
    let mut held = JoinSet::new();
    hold(&mut held, 0..FIRST, &connect).await?;
    let before = settled(&process).await?;
    hold(&mut held, FIRST..FIRST + sockets, &connect).await?;
    let after = settled(&process).await?;
    anyhow::ensure!(held.try_join_next().is_none(), "sockets were lost");
    Ok((after - before) / f64::from(sockets))
}

/// Opens sockets, and keeps each open by a task that answers pings.
async fn hold<Opening: Future<Output = anyhow::Result<Socket>> + Send>(
    held: &mut JoinSet<()>,
    numbers: std::ops::Range<u32>,
    connect: impl Fn(u32) -> Opening + Send,
) -> anyhow::Result<()> {
    let mut opened = stream::iter(numbers).map(connect).buffer_unordered(AT_ONCE);
    while let Some(mut socket) = opened.try_next().await? {
        held.spawn(async move { while socket.hear().await.is_ok() {} });
    }
    Ok(())
}

async fn settled(process: &Running) -> anyhow::Result<f64> {
    tokio::time::sleep(SETTLED).await;
    process.memory()
}

/// Ports of one address do not suffice for rounds of ten thousand.
fn source(number: u32) -> Ipv4Addr {
    let last = u8::try_from(number % 20).unwrap_or_default();
    Ipv4Addr::new(127, 0, 0, 2 + last)
}
