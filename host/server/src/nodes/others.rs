//! What a node tells the others, and hears from them.
//!
//! Each device that is connected has a subject on the bus: its hash under the host's key, since whoever runs the
//! bus reads subjects. All nodes hear one more. What is said is sealed, and says what it is about and who says it:
//! nobody else can say it, nor say it again about somebody else.
//!
//! While the keys are rotated, nodes are at two steps of it. Each says under the key that it seals with, and hears under
//! every key that it has; at two steps that follow each other the first is among the second.
//!
//! Without a bus nothing is said and nobody heard; the database has it all.

use std::{fmt, future};

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rand::{SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use switchhook_bus::{Bus, Message, Subject, Subscription, Unanswered};
use switchhook_core::seal::{KeyRing, Purpose};
use switchhook_protocol::{id::NodeId, time::Timestamp};
use tracing::debug;

use crate::{
    limits,
    metrics::Count,
    online::{Live, Whose},
};

/// Said about a device, to whoever has its connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToDevice {
    /// Something was put into its mailbox.
    Stored,
    /// It has another connection since then, at that node: the earlier one ends, and of two at once the one at
    /// the lesser node.
    Entered(Timestamp, NodeId),
    /// A live message for it.
    Live(Live),
    /// Whether anybody has its connection; an answer says so.
    Where,
}

/// Said to every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToAll {
    /// What is stored of tenants has changed: plugins, settings, a new one.
    Changed,
}

/// The other nodes.
pub(crate) struct Others {
    bus: Option<Bus>,
    me: NodeId,
    keys: KeyRing,
    /// What was heard and is not of these nodes.
    foreign: Count,
}

/// A word on its way.
#[derive(Debug, Serialize, Deserialize)]
struct Letter<W> {
    about: String,
    from: NodeId,
    word: W,
}

/// What is said about one device, until it is dropped.
#[derive(Debug)]
pub(crate) struct DeviceHeard(Heard);

/// What is said to every node, until it is dropped.
#[derive(Debug)]
pub(crate) struct AllHeard(Heard);

struct Heard {
    /// One for each key: more than one while the keys are rotated.
    places: Vec<Place>,
    me: NodeId,
    keys: KeyRing,
    foreign: Count,
}

/// Where something is heard.
struct Place {
    about: Subject,
    subscription: Subscription,
}

impl Others {
    pub(crate) const fn new(bus: Option<Bus>, me: NodeId, keys: KeyRing, foreign: Count) -> Self {
        Self { bus, me, keys, foreign }
    }

    /// This node.
    pub(crate) const fn me(&self) -> &NodeId {
        &self.me
    }

    /// Whether what is said here may be heard.
    pub(crate) const fn hear(&self) -> bool {
        self.bus.is_some()
    }

    /// Tells whoever has the device's connection.
    pub(crate) fn tell(&self, whose: &Whose, word: &ToDevice) {
        self.say(of_device(&self.keys, whose), word);
    }

    /// Tells every node.
    pub(crate) fn tell_all(&self, word: ToAll) {
        self.say(of_all(&self.keys), &word);
    }

    /// Whether another node has the device's connection. Who does not answer in time, or cannot be asked, may
    /// have it.
    pub(crate) async fn have(&self, whose: &Whose) -> bool {
        let Some(bus) = &self.bus else { return false };
        let Some(about) = of_device(&self.keys, whose).next() else { return false };
        let question = self.letter(&about, &ToDevice::Where);
        let answer = bus.ask(&about, question, limits::ASK_NODES).await;
        answer != Err(Unanswered::Nobody)
    }

    /// Hears what is said about a device from now on.
    pub(crate) async fn hear_of(&self, whose: &Whose) -> Option<DeviceHeard> {
        self.subscribe(of_device(&self.keys, whose)).await.map(DeviceHeard)
    }

    /// Hears what is said to every node from now on.
    pub(crate) async fn hear_all(&self) -> Option<AllHeard> {
        self.subscribe(of_all(&self.keys)).await.map(AllHeard)
    }

    /// Says what waits to be said.
    pub(crate) async fn close(&self) {
        if let Some(bus) = &self.bus {
            bus.close().await;
        }
    }

    async fn subscribe(&self, about: impl Iterator<Item = Subject>) -> Option<Heard> {
        let bus = self.bus.as_ref()?;
        let mut places = Vec::with_capacity(1);
        for about in about {
            let subscription = bus.subscribe(&about).await;
            places.push(Place { about, subscription });
        }
        let (me, keys, foreign) = (self.me.clone(), self.keys.clone(), self.foreign.clone());
        Some(Heard { places, me, keys, foreign })
    }

    fn say(&self, mut about: impl Iterator<Item = Subject>, word: &impl Serialize) {
        if let Some(bus) = &self.bus
            && let Some(about) = about.next()
        {
            bus.publish(&about, self.letter(&about, word));
        }
    }

    fn letter(&self, about: &Subject, word: &impl Serialize) -> Bytes {
        let letter = Letter { about: about.to_string(), from: self.me.clone(), word };
        let plain = serde_json::to_vec(&letter).unwrap_or_default();
        let mut rng = StdRng::from_rng(&mut rand::rng());
        self.keys.seal_bytes(Purpose::Letter, &plain, &mut rng).into()
    }
}

impl DeviceHeard {
    /// The next word about the device. Nothing is lost when this is dropped and called again.
    pub(crate) async fn next(&mut self) -> ToDevice {
        loop {
            let (word, message) = self.0.next().await;
            match (word, message.asker) {
                (ToDevice::Where, Some(asker)) => asker.answer(Bytes::new()),
                (ToDevice::Where, None) => {}
                (word, _) => return word,
            }
        }
    }
}

impl AllHeard {
    /// The next word. Nothing is lost when this is dropped and called again.
    pub(crate) async fn next(&mut self) -> ToAll {
        self.0.next().await.0
    }
}

impl Heard {
    /// The next word of another node that is what it says.
    async fn next<W: DeserializeOwned>(&mut self) -> (W, Message) {
        loop {
            let (message, about) = self.message().await;
            match self.open(&message, &about) {
                Some(Letter { from, word, .. }) if from != self.me => return (word, message),
                Some(_) => {}
                // Whoever may publish there says as much as they like: it is counted, not logged.
                None => {
                    self.foreign.inc();
                    debug!("something on the bus is not of these nodes");
                }
            }
        }
    }

    /// The next message, wherever it comes first, and where that is.
    async fn message(&mut self) -> (Message, String) {
        if let [only] = self.places.as_mut_slice() {
            return only.next().await;
        }
        let mut all: FuturesUnordered<_> = self.places.iter_mut().map(Place::next).collect();
        match all.next().await {
            Some(first) => first,
            None => future::pending().await,
        }
    }

    fn open<W: DeserializeOwned>(&self, message: &Message, about: &str) -> Option<Letter<W>> {
        let plain = self.keys.open_bytes(Purpose::Letter, &message.payload).ok()?;
        let letter: Letter<W> = serde_json::from_slice(&plain).ok()?;
        (letter.about == about).then_some(letter)
    }
}

impl Place {
    async fn next(&mut self) -> (Message, String) {
        (self.subscription.next().await, self.about.to_string())
    }
}

/// The subjects of a device, the first of them that under which it is spoken of.
fn of_device(keys: &KeyRing, (tenant, device): &Whose) -> impl Iterator<Item = Subject> + use<> {
    let about = [tenant.as_str().as_bytes(), device.as_str().as_bytes()];
    subjects("device", keys.macs("device-on-bus", &about))
}

/// The subjects of all nodes, in the same order.
fn of_all(keys: &KeyRing) -> impl Iterator<Item = Subject> + use<> {
    subjects("nodes", keys.macs("nodes-on-bus", &[]))
}

fn subjects(kind: &'static str, hashes: Vec<[u8; 32]>) -> impl Iterator<Item = Subject> {
    hashes.into_iter().filter_map(move |hash| subject(kind, &hash))
}

/// Sixteen bytes: nobody finds another device of the same.
fn subject(kind: &str, hash: &[u8; 32]) -> Option<Subject> {
    let hash = BASE32_NOPAD.encode(hash.first_chunk::<16>()?).to_ascii_lowercase();
    Subject::try_from(format!("switchhook.{kind}.{hash}")).ok()
}

impl fmt::Debug for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Others").field("bus", &self.bus).field("me", &self.me).finish_non_exhaustive()
    }
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about: Vec<_> = self.places.iter().map(|place| &place.about).collect();
        f.debug_struct("Heard").field("about", &about).finish_non_exhaustive()
    }
}
