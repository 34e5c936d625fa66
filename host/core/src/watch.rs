//! Who of the nodes is dead.
//!
//! Each changes its row about once a second ([`BEAT`]). Whoever sees a row stand still for a [`LEASE`], by its own
//! clock, takes the node for dead. No two clocks are compared, so that none has to be right.
//!
//! Only time in which somebody looked counts: while the database does not answer, nobody can beat either, and what
//! stood still meanwhile says nothing.

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use switchhook_protocol::{id::NodeId, time::Timestamp};

use crate::row::Node;

/// How often a node says that it lives.
pub const BEAT: Duration = Duration::from_secs(1);

/// How long a row may stand still: three beats and some, so that a busy moment kills nobody.
pub const LEASE: Duration = Duration::from_millis(3_500);

/// The longest between two looks that follow each other: whoever has missed more begins anew.
const GAP: Duration = BEAT.saturating_mul(2);

/// What one node has seen of the others.
#[derive(Debug, Default)]
pub struct Watch {
    /// The beat that was last seen of each, and since when.
    seen: BTreeMap<NodeId, (Timestamp, Duration)>,
    /// When it last looked.
    looked: Option<Duration>,
}

impl Watch {
    /// Looks at the rows of the others, at this time of the looker's own clock, which only goes forward. Answers
    /// who is dead.
    pub fn look(&mut self, others: &[Node], now: Duration) -> Vec<Node> {
        let mut before = core::mem::take(&mut self.seen);
        if self.looked.replace(now).is_some_and(|looked| now.saturating_sub(looked) > GAP) {
            before.clear();
        }
        let mut dead = Vec::new();
        for node in others {
            let same = before.get(&node.id).filter(|(beat, _)| *beat == node.seen_at);
            let since = same.map_or(now, |(_, since)| *since);
            self.seen.insert(node.id.clone(), (node.seen_at, since));
            if now.saturating_sub(since) >= LEASE {
                dead.push(node.clone());
            }
        }
        dead
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    fn node(name: &str, seen_at: u64) -> Node {
        Node {
            id: name.parse().unwrap(),
            address: String::new(),
            region: String::new(),
            sockets: 0,
            draining: false,
            started_at: Timestamp::from_millis(0),
            seen_at: Timestamp::from_millis(seen_at),
        }
    }

    #[test]
    fn a_row_that_stands_still_for_a_lease_is_of_a_dead_node() {
        let mut watch = Watch::default();
        let still = [node("still", 7)];
        for nearly in [0, 1_000, 2_000, 3_000, 3_499] {
            assert_eq!(watch.look(&still, Duration::from_millis(nearly)), []);
        }
        assert_eq!(watch.look(&still, LEASE), still);
    }

    #[test]
    fn what_stood_still_while_nobody_could_look_is_watched_anew() {
        let mut watch = Watch::default();
        let still = [node("still", 7)];
        assert_eq!(watch.look(&still, Duration::ZERO), []);
        let again = Duration::from_mins(1);
        assert_eq!(watch.look(&still, again), []);
        assert_eq!(watch.look(&still, again + GAP), []);
        assert_eq!(watch.look(&still, again + LEASE), still);
    }

    #[test]
    fn a_row_that_changes_is_of_a_living_node_whatever_its_clock_says() {
        let mut watch = Watch::default();
        let mut now = Duration::ZERO;
        // A clock that is far off, and once set back.
        for beat in [9_000_000, 9_001_000, 5, 1_005, 2_005] {
            now += GAP;
            assert_eq!(watch.look(&[node("off", beat)], now), []);
        }
    }

    #[test]
    fn a_node_that_comes_again_is_watched_anew() {
        let mut watch = Watch::default();
        let frozen = [node("frozen", 7)];
        assert_eq!(watch.look(&frozen, Duration::ZERO), []);
        assert_eq!(watch.look(&[], GAP), []);
        assert_eq!(watch.look(&frozen, LEASE), []);
    }
}
