//! What a node tells the others, and hears from them.
//!
//! Each device that is connected has a subject on the bus: its hash under the host's key, since whoever runs the
//! bus reads subjects. All nodes hear one more. What is said is sealed ([`Letters`]). What a node is asked by itself
//! stands in [`questions`](super::questions).
//!
//! Without a bus nothing is said and nobody heard; the database has it all.

use std::{fmt, future, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use switchhook_bus::{Bus, Message, Subject, Subscription, Unanswered};
use switchhook_core::seal::KeyRing;
use switchhook_protocol::{id::NodeId, time::Timestamp};
use tracing::debug;

use super::letters::Letters;
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
    pub(super) letters: Letters,
    /// What was heard and is not of these nodes.
    foreign: Count,
}

/// What is said about one device, until it is dropped.
#[derive(Debug)]
pub(crate) struct DeviceHeard(Heard);

/// What is said to every node, until it is dropped.
#[derive(Debug)]
pub(crate) struct AllHeard(Heard);

/// What is said at one subject, until it is dropped.
pub(super) struct Heard {
    /// One for each key: more than one while the keys are rotated.
    places: Vec<Place>,
    letters: Letters,
    foreign: Count,
}

/// Where something is heard.
struct Place {
    about: Subject,
    subscription: Subscription,
}

impl Others {
    pub(crate) const fn new(bus: Option<Bus>, me: NodeId, keys: KeyRing, foreign: Count) -> Self {
        Self { bus, letters: Letters::new(me, keys), foreign }
    }

    /// This node.
    pub(crate) const fn me(&self) -> &NodeId {
        &self.letters.me
    }

    /// Whether what is said here may be heard.
    pub(crate) const fn hear(&self) -> bool {
        self.bus.is_some()
    }

    /// Tells whoever has the device's connection.
    pub(crate) fn tell(&self, whose: &Whose, word: &ToDevice) {
        // Where nobody hears no subject is computed.
        if self.hear() {
            self.say(self.letters.of_device(whose), word);
        }
    }

    /// Tells every node.
    pub(crate) fn tell_all(&self, word: ToAll) {
        self.say(self.letters.of_all(), &word);
    }

    /// Whether another node has the device's connection. Who does not answer in time, or cannot be asked, may
    /// have it.
    pub(crate) async fn have(&self, whose: &Whose) -> bool {
        if !self.hear() {
            return false;
        }
        let Some(about) = self.letters.of_device(whose).next() else { return false };
        let question = self.letters.seal(&about, &ToDevice::Where);
        self.ask(&about, question, limits::ASK_NODES).await != Err(Unanswered::Nobody)
    }

    /// Hears what is said about a device from now on.
    pub(crate) async fn hear_of(&self, whose: &Whose) -> Option<DeviceHeard> {
        if !self.hear() {
            return None;
        }
        self.subscribe(self.letters.of_device(whose)).await.map(DeviceHeard)
    }

    /// Hears what is said to every node from now on.
    pub(crate) async fn hear_all(&self) -> Option<AllHeard> {
        self.subscribe(self.letters.of_all()).await.map(AllHeard)
    }

    /// Says what waits to be said.
    pub(crate) async fn close(&self) {
        if let Some(bus) = &self.bus {
            bus.close().await;
        }
    }

    /// Asks whoever hears what is said about something. Without a bus that is nobody.
    pub(super) async fn ask(
        &self,
        about: &Subject,
        question: Bytes,
        within: Duration,
    ) -> Result<Bytes, Unanswered> {
        match &self.bus {
            Some(bus) => bus.ask(about, question, within).await,
            None => Err(Unanswered::Nobody),
        }
    }

    pub(super) async fn subscribe(&self, about: impl Iterator<Item = Subject>) -> Option<Heard> {
        let bus = self.bus.as_ref()?;
        let mut places = Vec::with_capacity(1);
        for about in about {
            let subscription = bus.subscribe(&about).await;
            places.push(Place { about, subscription });
        }
        Some(Heard { places, letters: self.letters.clone(), foreign: self.foreign.clone() })
    }

    fn say(&self, mut about: impl Iterator<Item = Subject>, word: &impl Serialize) {
        if let Some(bus) = &self.bus
            && let Some(about) = about.next()
        {
            bus.publish(&about, self.letters.seal(&about, word));
        }
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
    pub(super) async fn next<W: DeserializeOwned>(&mut self) -> (W, Message) {
        loop {
            let (message, about) = self.message().await;
            match self.letters.open(&about, &message.payload) {
                Some((from, word)) if from != self.letters.me => return (word, message),
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
}

impl Place {
    async fn next(&mut self) -> (Message, String) {
        (self.subscription.next().await, self.about.to_string())
    }
}

impl fmt::Debug for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Others").field("bus", &self.bus).field("me", self.me()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about: Vec<_> = self.places.iter().map(|place| &place.about).collect();
        f.debug_struct("Heard").field("about", &about).finish_non_exhaustive()
    }
}
