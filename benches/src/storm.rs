//! A storm of reconnects: the server dies and starts again, and everybody comes back at once.
//!
//! Each device has read one message of its mailbox before. Then the server is killed; while it is away
//! each tenth device gets another one; it starts again on the same port, and all devices come back
//! from where they were, as fast as the generator can. Measured is from the first connect until the last
//! one has heard that it has missed nothing but what follows (`resumed`: full), and until the last
//! message has arrived. Then nobody may hear anything more, and nobody may have heard anything else. The
//! yardstick is bare axum accepting as many sockets of the same generator.

use std::{ops::Range, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use switchhook_core::row::{Message, Write};
use switchhook_protocol::{
    client::{Ack, ClientMessage, Cursor, Said},
    id::{DeviceId, Epoch},
    server::{Resumed, ServerMessage},
};
use switchhook_storage::Storage;

use crate::{
    Options,
    clock::{micros, now, timestamp},
    device::Device,
    installation::{Installation, Server},
    process::Running,
    report::{Bound, Report},
    series::Series,
    socket::{Door, Socket, open},
};

/// Which of the devices get a message while the server is away.
const EACH: usize = 10;

/// Devices whose messages are stored in one transaction.
const TOGETHER: usize = 1_000;

/// How long a message lives: longer than this bench.
const LIFE: Duration = Duration::from_hours(1);

/// What all rounds show.
#[derive(Default)]
struct Found {
    resumed: Series,
    arrived: Series,
    processor: Series,
    bare: Series,
    bare_processor: Series,
}

/// A device that is connected, and what it knows.
struct Present {
    socket: Socket,
    device: Device,
    epoch: Epoch,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut found = Found::default();
    tokio::runtime::Runtime::new()?.block_on(async {
        let installation =
            Installation::prepare(options.server()?, options.on_disk()?, options.sockets).await?;
        for _ in 0..options.rounds {
            found.round(&installation, installation.start(options.on_disk()?, "")?).await?;
            found.bare(options.sockets).await?;
        }
        anyhow::Ok(())
    })?;
    let mut report = Report::new("a storm of reconnects after the server was killed");
    report.figure(format!("switchhook, until {} devices have resumed", options.sockets), "s", &found.resumed);
    report.figure("  until the last message has arrived", "s", &found.arrived);
    report.figure("  server's processor time for a device", "µs", &found.processor);
    report.figure("bare axum, until as many WebSockets are open", "s", &found.bare);
    report.figure("  server's processor time for a socket", "µs", &found.bare_processor);
    report.figure("resumed over bare axum", "×", &found.resumed.over(&found.bare));
    report.target("until all have resumed, s", &found.resumed, Bound::AtMost(6.0));
    Ok(report)
}

impl Found {
    async fn round(&mut self, installation: &Installation, mut server: Server) -> anyhow::Result<()> {
        let devices = &installation.devices;
        server
            .restart(installation, async |storage| store(installation, storage, devices, "first").await)
            .await?;
        let enter = |number: u32| Present::enter(installation, &server.door, number);
        let before: Vec<Present> = open(numbers(devices)?, enter).try_collect().await?;
        let place = |present: &Present| (present.device.clone(), present.epoch.clone());
        let places: Vec<_> = before.iter().map(place).collect();

        let waiting: Vec<Device> = devices.iter().step_by(EACH).cloned().collect();
        server
            .restart(installation, async |storage| store(installation, storage, &waiting, "second").await)
            .await?;
        drop(before);
        let (started, processor) = (now(), server.process.processor_time()?);
        let resume = |at: u32| Present::resume(installation, &server.door, &places, at);
        let mut back: Vec<Present> = open(numbers(&places)?, resume).try_collect().await?;
        self.resumed.push(started.elapsed().as_secs_f64());
        let spent = server.process.processor_time()?.saturating_sub(processor);
        self.processor.push(micros(spent) / count(&back)?);

        stream::iter(back.iter_mut().filter(|present| is_waiting(&present.device)))
            .map(|present| present.read("second"))
            .buffer_unordered(usize::MAX)
            .try_collect::<()>()
            .await?;
        self.arrived.push(started.elapsed().as_secs_f64());
        // A node looks for what it missed more often than it pings: what is heard twice is heard before.
        stream::iter(&mut back)
            .map(|present| present.socket.pinged())
            .buffer_unordered(usize::MAX)
            .try_collect::<()>()
            .await
    }

    async fn bare(&mut self, sockets: u32) -> anyhow::Result<()> {
        let (process, door) = Running::bare_sockets("small", None)?;
        let started = now();
        let connect = |number: u32| Socket::connect(&door, number, "/");
        let opened: Vec<Socket> = open(0..sockets, connect).try_collect().await?;
        self.bare.push(started.elapsed().as_secs_f64());
        self.bare_processor.push(micros(process.processor_time()?) / count(&opened)?);
        Ok(())
    }
}

impl Present {
    /// Connects for the first time, and reads the first message.
    async fn enter(installation: &Installation, door: &Door, number: u32) -> anyhow::Result<Self> {
        let device = installation.device(number)?.clone();
        let (socket, welcome) = device.resume(door, installation.who(), None).await?;
        let mut present = Self { socket, device, epoch: welcome.epoch };
        present.read("first").await?;
        Ok(present)
    }

    /// Connects after the first message.
    async fn resume(
        installation: &Installation,
        door: &Door,
        places: &[(Device, Epoch)],
        at: u32,
    ) -> anyhow::Result<Self> {
        let Some((device, epoch)) = usize::try_from(at).ok().and_then(|at| places.get(at)).cloned() else {
            anyhow::bail!("more than there were")
        };
        let cursor = Cursor { epoch: epoch.clone(), seq: 1 };
        let (socket, welcome) = device.resume(door, installation.who(), Some(cursor)).await?;
        anyhow::ensure!(welcome.resumed == Resumed::Full, "{}: {:?}", device.id, welcome.resumed);
        Ok(Self { socket, device, epoch })
    }

    /// Hears this message next, and acknowledges it.
    async fn read(&mut self, message: &str) -> anyhow::Result<()> {
        let text = self.socket.hear().await?;
        let Some(ServerMessage::Event(event)) = ServerMessage::decode(&text)? else {
            anyhow::bail!("{text}")
        };
        anyhow::ensure!(event.message_id.as_str() == id(message, &self.device.id), "{text}");
        self.socket.say(ClientMessage::say(&Said::Ack(&Ack { epoch: None, seq: event.seq }))?).await
    }
}

/// Puts a message into each of these mailboxes.
async fn store(
    installation: &Installation,
    storage: &Storage,
    devices: &[Device],
    message: &str,
) -> anyhow::Result<()> {
    let storage = storage.of(&installation.tenant);
    for devices in devices.chunks(TOGETHER) {
        let append = |device: &Device| {
            let (id, expires_at) = (id(message, &device.id).parse()?, timestamp().after(LIFE));
            let device = device.id.clone();
            anyhow::Ok(Write::Append(Message {
                device,
                id,
                event: EVENT.to_owned(),
                expires_at,
                collapse_key: None,
            }))
        };
        storage.commit("storm", devices.iter().map(append).collect::<Result<_, _>>()?).await?;
    }
    Ok(())
}

/// An event that changes nothing.
const EVENT: &str = r#"{"kind":"cancel","body":{"session":"none","reason":"cancelled"}}"#;

fn id(message: &str, device: &DeviceId) -> String {
    format!("{message}-{device}")
}

fn is_waiting(device: &Device) -> bool {
    usize::try_from(device.number).is_ok_and(|number| number.is_multiple_of(EACH))
}

fn numbers<T>(all: &[T]) -> anyhow::Result<Range<u32>> {
    Ok(0..u32::try_from(all.len())?)
}

fn count<T>(all: &[T]) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(all.len())?))
}
