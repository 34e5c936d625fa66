//! A registration by SMS, from the text at the webhook to the answer that the number is registered (REG-2 to REG-4).
//!
//! The generator is this process, on one thread: it is the gateway of the tenant, and the devices. Each device
//! registers one number after the other: its gateway posts its text, takes the host's with the signature, and the device
//! sends that back. What is over when is measured on the way. The yardstick is the writer alone, with the same rows in
//! the same three transactions, and as many callers as there are devices. Then each device registers at a pace of its
//! own, so that all together reach half of what was reached before.

mod gateway;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use switchhook_protocol::{
    client::ClientMessage,
    endpoint::EndpointId,
    registration::{RegisterValidate, parse_signature_text, registration_text},
};
use switchhook_storage::{Clock, Settings, Storage, yardstick};
use tokio::task::JoinSet;

use self::gateway::{Gateway, Posting};
use crate::{
    Options,
    clock::{self, micros, now},
    device::Device,
    installation::{Installation, Server},
    load, one_thread,
    report::{Bound, Report},
    series::{Latencies, Series},
    socket::Socket,
};

/// Devices that register numbers at the same time.
const DEVICES: u32 = 128;

/// Registrations that the writer commits alone.
const ALONE: u32 = 10_000;

/// What one run showed.
#[derive(Default)]
struct Took {
    /// From the text to the answer that the host has it.
    taken: Vec<Duration>,
    /// From the text to the host's own.
    texted: Vec<Duration>,
    /// From the text to the end.
    registered: Vec<Duration>,
}

#[derive(Default)]
struct Found {
    rate: Series,
    processor: Series,
    taken: Series,
    texted: Series,
    p50: Series,
    half_p50: Series,
    half_p99: Series,
    writer: Series,
}

/// A device with its socket, and its gateway's connection to the host.
struct Registering {
    device: Device,
    socket: Socket,
    posting: Posting,
    gateway: Gateway,
    /// All devices count together: nobody has the same number.
    numbers: Arc<AtomicU32>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut found = Found::default();
    one_thread()?.block_on(async {
        let installation = Installation::prepare(options.server()?, options.on_disk()?, DEVICES).await?;
        let gateway = Gateway::open(&installation).await?;
        for _ in 0..options.rounds {
            found.round(&installation, &gateway, &installation.start(options.on_disk()?, "")?).await?;
        }
        anyhow::Ok(())
    })?;
    for _ in 0..options.rounds {
        found.writer.push(tokio::runtime::Runtime::new()?.block_on(alone(options))?);
    }
    let mut report = Report::new("registration by SMS, from the webhook to validated");
    report.figure(format!("{DEVICES} devices in a closed loop"), "1/s", &found.rate);
    report.figure("  server's processor time", "µs", &found.processor);
    report.figure("  p50", "ms", &found.p50);
    report.figure("  of that until the text is taken, p50", "ms", &found.taken);
    report.figure("  until the host's own text, p50", "ms", &found.texted);
    report.figure("at half of it, p50", "ms", &found.half_p50);
    report.figure("at half of it, p99", "ms", &found.half_p99);
    report.figure(format!("the writer alone, {DEVICES} callers, SQLite FULL"), "1/s", &found.writer);
    report.target("registrations/s", &found.rate, Bound::AtLeast(3_000.0));
    report.target("over the writer alone", &found.rate.over(&found.writer), Bound::AtLeast(0.4));
    report.target("p99 at half of it, ms", &found.half_p99, Bound::AtMost(50.0));
    Ok(report)
}

/// The writer alone.
async fn alone(options: &Options) -> anyhow::Result<f64> {
    let folder = options.on_disk()?;
    let settings = Settings::new(folder.path().join("switchhook.db"), Clock::new(clock::timestamp));
    let storage = Storage::open(settings).await?;
    let tenant = "default".parse()?;
    storage.tenants().create(&tenant, clock::timestamp()).await?;
    let part = storage.of(&tenant);
    let devices = yardstick::enrol(&part, DEVICES).await?;
    let at_once = NonZeroU32::new(DEVICES).unwrap_or(NonZeroU32::MIN);
    yardstick::registrations(&part, &devices, (1, ALONE / 8), at_once).await?;
    let rate = yardstick::registrations(&part, &devices, (2, ALONE), at_once).await?;
    storage.close().await;
    Ok(rate.per_second())
}

impl Found {
    async fn round(
        &mut self,
        installation: &Installation,
        gateway: &Gateway,
        server: &Server,
    ) -> anyhow::Result<()> {
        let mut all = Vec::new();
        let numbers = Arc::default();
        for device in &installation.devices {
            all.push(Registering {
                device: device.clone(),
                socket: device.connect(&server.door, installation.who()).await?,
                posting: gateway.connect(server.door.addr, &installation.tenant).await?,
                gateway: gateway.clone(),
                numbers: Arc::clone(&numbers),
            });
        }
        register(&mut all, None, load::WARM).await?;
        let processor = server.process.processor_time()?;
        let took = register(&mut all, None, load::MEASURED).await?;
        let processor = server.process.processor_time()?.saturating_sub(processor);
        let count = f64::from(u32::try_from(took.registered.len())?);
        let rate = count / load::MEASURED.as_secs_f64();
        self.rate.push(rate);
        self.processor.push(micros(processor) / count);
        self.taken.push(quantiles(took.taken).0);
        self.texted.push(quantiles(took.texted).0);
        self.p50.push(quantiles(took.registered).0);
        let every = Duration::from_secs_f64(f64::from(DEVICES) * 2.0 / rate);
        let (p50, p99) = quantiles(register(&mut all, Some(every), load::MEASURED).await?.registered);
        self.half_p50.push(p50);
        self.half_p99.push(p99);
        Ok(())
    }
}

/// Median and 99th percentile, in milliseconds.
fn quantiles(took: Vec<Duration>) -> (f64, f64) {
    let (p50, p99) = took.into_iter().collect::<Latencies>().quantiles();
    (p50 / 1e3, p99 / 1e3)
}

/// All register for a while: one number after the other, or one in so much time.
async fn register(
    all: &mut Vec<Registering>,
    every: Option<Duration>,
    time: Duration,
) -> anyhow::Result<Took> {
    let until = now() + time;
    let mut running = JoinSet::new();
    for (place, mut one) in (0..).zip(all.drain(..)) {
        // Each from a moment of its own: together they come evenly.
        let first = now() + every.map_or(Duration::ZERO, |every| every * place / DEVICES);
        running.spawn(async move { one.run((first, every), until).await.map(|took| (one, took)) });
    }
    let mut took = Took::default();
    while let Some(ended) = running.join_next().await {
        let (one, its) = ended??;
        all.push(one);
        took.taken.extend(its.taken);
        took.texted.extend(its.texted);
        took.registered.extend(its.registered);
    }
    Ok(took)
}

impl Registering {
    async fn run(
        &mut self,
        (first, every): (Instant, Option<Duration>),
        until: Instant,
    ) -> anyhow::Result<Took> {
        let (mut took, mut due) = (Took::default(), first);
        while due < until {
            tokio::time::sleep_until(due.into()).await;
            self.register(due, &mut took).await?;
            due = every.map_or_else(now, |every| due + every);
        }
        Ok(took)
    }

    /// One number.
    async fn register(&mut self, due: Instant, took: &mut Took) -> anyhow::Result<()> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let number: EndpointId = format!("+1444{number:08}").parse()?;
        let Device { id, push_token, .. } = &self.device;
        let arriving = self.gateway.expect(&number);
        self.posting.post(&number, &registration_text(push_token, id)).await?;
        took.taken.push(due.elapsed());
        let text = arriving.await?;
        took.texted.push(due.elapsed());
        let (number, signature) = parse_signature_text(&text).context("the text has no signature")?;
        let validate =
            RegisterValidate { number, push_token: push_token.clone(), device: id.clone(), signature };
        self.socket.say(ClientMessage::request(&"1".parse()?, &validate)?).await?;
        load::hear_answer(&mut self.socket).await?;
        took.registered.push(due.elapsed());
        Ok(())
    }
}
