//! What nodes put on the bus: sealed words, each about a subject.
//!
//! A letter says what it is about and who says it, so that nobody else can say it, nor say it again about something else.
//!
//! While the keys are rotated, nodes are at two steps of it. Each says under the key that it seals with, and hears under
//! every key that it has; at two steps that follow each other the first is among the second.

use std::fmt;

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use rand::{SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use switchhook_bus::Subject;
use switchhook_core::seal::{KeyRing, Purpose};
use switchhook_protocol::id::NodeId;

use crate::online::Whose;

/// Writes and reads letters of this node.
#[derive(Clone)]
pub(super) struct Letters {
    pub(super) me: NodeId,
    keys: KeyRing,
}

/// A word on its way.
#[derive(Debug, Serialize, Deserialize)]
struct Letter<W> {
    about: String,
    from: NodeId,
    word: W,
}

impl Letters {
    pub(super) const fn new(me: NodeId, keys: KeyRing) -> Self {
        Self { me, keys }
    }

    pub(super) fn seal(&self, about: &impl fmt::Display, word: &impl Serialize) -> Bytes {
        let letter = Letter { about: about.to_string(), from: self.me.clone(), word };
        let plain = serde_json::to_vec(&letter).unwrap_or_default();
        let mut rng = StdRng::from_rng(&mut rand::rng());
        self.keys.seal_bytes(Purpose::Letter, &plain, &mut rng).into()
    }

    /// Who says what; none if it is not about this, or of none of these nodes.
    pub(super) fn open<W: DeserializeOwned>(&self, about: &str, sealed: &[u8]) -> Option<(NodeId, W)> {
        let plain = self.keys.open_bytes(Purpose::Letter, sealed).ok()?;
        let letter: Letter<W> = serde_json::from_slice(&plain).ok()?;
        (letter.about == about).then_some((letter.from, letter.word))
    }

    /// The subjects of a device, the first of them that under which it is spoken of.
    pub(super) fn of_device(&self, (tenant, device): &Whose) -> impl Iterator<Item = Subject> + use<> {
        let about = [tenant.as_str().as_bytes(), device.as_str().as_bytes()];
        subjects("device", self.keys.macs("device-on-bus", &about))
    }

    /// Those of one node, in the same order.
    pub(super) fn of_node(&self, node: &NodeId) -> impl Iterator<Item = Subject> + use<> {
        subjects("node", self.keys.macs("node-on-bus", &[node.as_str().as_bytes()]))
    }

    /// Those of all nodes, in the same order.
    pub(super) fn of_all(&self) -> impl Iterator<Item = Subject> + use<> {
        subjects("nodes", self.keys.macs("nodes-on-bus", &[]))
    }
}

fn subjects(kind: &'static str, hashes: Vec<[u8; 32]>) -> impl Iterator<Item = Subject> {
    hashes.into_iter().filter_map(move |hash| subject(kind, &hash))
}

/// Sixteen bytes: nobody finds another device of the same.
fn subject(kind: &str, hash: &[u8; 32]) -> Option<Subject> {
    let hash = BASE32_NOPAD.encode(hash.first_chunk::<16>()?).to_ascii_lowercase();
    Subject::try_from(format!("switchhook.{kind}.{hash}")).ok()
}

#[cfg(test)]
mod tests {
    use switchhook_core::seal::{RootKeys, Scope};

    use super::*;

    fn letters(node: &str) -> Letters {
        Letters::new(node.parse().unwrap(), RootKeys::new([1; 32], []).ring(Scope::Host))
    }

    #[test]
    fn a_word_about_one_thing_is_none_about_another() {
        let (here, there) = (letters("here"), letters("there"));
        let sealed = here.seal(&"one", &7_u8);
        assert_eq!(there.open::<u8>("one", &sealed), Some(("here".parse().unwrap(), 7)));
        assert_eq!(there.open::<u8>("another", &sealed), None);
        assert_eq!(there.open::<String>("one", &sealed), None);
    }
}
