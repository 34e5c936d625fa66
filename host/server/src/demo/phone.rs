//! A device on the stage: it enrols, registers by SMS, rings, and keeps the events that it got.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use switchhook_client::{
    Client, ClientEvent, Settings,
    identity::{DeviceKey, Identity},
    registration::{begin_text, keep_text, validate},
    ringer::{Ringer, Rings},
};
use switchhook_protocol::{
    carrier::Sim,
    endpoint::EndpointId,
    event::{Event, Rung},
};
use tokio::{sync::mpsc, time};
use tokio_util::task::TaskTracker;

use super::{stage::Stage, timeline::Timeline};
use crate::sandbox::default_tenant;

/// Whatever takes longer than this did not happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Events that wait for the story to look at them.
const EVENTS: usize = 64;

/// A device that is registered and online.
pub(super) struct Phone {
    pub(super) name: &'static str,
    pub(super) number: EndpointId,
    pub(super) client: Client,
    pub(super) rings: Rings<Bell>,
    events: mpsc::Receiver<Event>,
    tasks: TaskTracker,
}

/// Rings on the line of time.
pub(super) struct Bell {
    name: &'static str,
    timeline: Timeline,
}

impl Ringer for Bell {
    async fn start(&self, rung: &Rung) {
        self.timeline.step(self.name, &format!("rings: {} calls ({})", rung.display_name, rung.purpose));
    }

    async fn stop(&self, _: &Rung) {
        self.timeline.step(self.name, "is silent");
    }
}

impl Phone {
    /// From nothing to a registered device.
    pub(super) async fn set_up(
        stage: &Stage,
        name: &'static str,
        kind: &str,
        number: &str,
    ) -> anyhow::Result<Self> {
        let timeline = &stage.timeline;
        let number: EndpointId = number.parse()?;
        let url = format!("ws://{}", stage.server.addresses().http);
        let settings = Settings::new(url, default_tenant(), "demo".parse()?).device_kind(kind);
        let key = DeviceKey::generate(&mut rand::rng());
        let identity = in_time("enrolment", Client::enrol(&settings, key)).await??;
        timeline.step(name, &format!("makes a device key and enrols as {}", identity.device));
        let read = stage.carrier.texts(&number).len();
        let to = identity.carriers.number(&Sim::default()).context("no number to text")?;
        in_time("the text", stage.carrier.text_to(to, &number, &begin_text(&identity))).await??;
        timeline.step(
            name,
            &format!("texts its push token to {to}; the transit posts it with the sender's number, signed"),
        );
        stage.tell_decisions().await?;
        let identity = register(stage, name, (&number, read), identity, &settings).await?;
        let (client, events) = in_time("the connection", Client::connect(settings, identity)).await??;
        Ok(Self::online(timeline, name, number, client, events))
    }

    fn online(
        timeline: &Timeline,
        name: &'static str,
        number: EndpointId,
        client: Client,
        mut incoming: switchhook_client::Events,
    ) -> Self {
        let rings = Rings::new(client.clone(), Bell { name, timeline: timeline.clone() });
        let (sender, events) = mpsc::channel(EVENTS);
        let (tasks, handler) = (TaskTracker::new(), rings.clone());
        tasks.spawn(async move {
            while let Some(event) = incoming.next().await {
                handler.handle(&event);
                if let ClientEvent::Event(delivered) = event
                    && sender.send(delivered.event).await.is_err()
                {
                    return;
                }
            }
        });
        Self { name, number, client, rings, events, tasks }
    }

    /// The next event that the story waits for; others are passed over.
    pub(super) async fn expect<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(Event) -> Option<T>,
    ) -> anyhow::Result<T> {
        let found = async {
            while let Some(event) = self.events.recv().await {
                if let Some(found) = wanted(event) {
                    return Ok(found);
                }
            }
            bail!("{}: the events ended before {what}", self.name)
        };
        time::timeout(PATIENCE, found).await.with_context(|| format!("{}: no {what}", self.name))?
    }

    pub(super) async fn leave(self) {
        self.rings.close().await;
        self.client.close().await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Reads the SMS with the signature and sends it back over IP.
async fn register(
    stage: &Stage,
    name: &'static str,
    (number, read): (&EndpointId, usize),
    mut identity: Identity,
    settings: &Settings,
) -> anyhow::Result<Identity> {
    let text = in_time("the SMS", stage.carrier.next_text(number, read)).await?;
    keep_text(&mut identity, &text).context("the SMS is not a signature")?;
    stage.timeline.step(name, "gets number and signature by SMS: it knows its own number now");
    let connected = Client::connect(settings.clone(), identity.clone());
    let (client, _events) = in_time("the connection", connected).await??;
    let confirmed = in_time("the registration", validate(&client, &mut identity)).await??;
    anyhow::ensure!(confirmed.contains(number), "the number is not registered");
    client.close().await;
    stage.timeline.step(name, "sends them back over IP: registered");
    stage.tell_decisions().await?;
    Ok(identity)
}

/// Whatever takes too long did not happen.
pub(super) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> anyhow::Result<T> {
    time::timeout(PATIENCE, future).await.with_context(|| format!("{what} did not happen"))
}

/// A network for a call; shared by its sockets.
pub(super) type Net = Arc<dyn switchhook_client::network::Network>;
