//! What CDX saw of a client, and what that says about its NAT (NAT-1).
//!
//! The client gets each observation sealed and brings it to the host: with its connection data, or
//! before any login (HYB-1). The mapping is judged by comparing what both ports of CDX saw of one
//! socket. One address of CDX cannot tell more: a mapping that differs by port is called
//! address-and-port-dependent, and what the NAT lets in stays unknown, never guessed.

use alloc::string::String;
use core::net::SocketAddr;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{cdx::OBSERVATION_LIFE, connection_data::Mapping, time::Timestamp};

use crate::seal::{KeyRing, Purpose, SealError};

/// One address that CDX saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Where the request came from.
    pub observed: SocketAddr,
    /// Where CDX received it: its two ports see each their own.
    pub cdx: SocketAddr,
    /// When.
    pub at: Timestamp,
}

/// Why an observation does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidObservation {
    /// The host did not seal it.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It is older than [`OBSERVATION_LIFE`].
    #[error("an observation counts for ten minutes")]
    Expired,
}

impl Observation {
    /// Seals it for its client, under the keys of CDX.
    pub fn seal(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> String {
        keys.seal(Purpose::Observation, self, rng)
    }

    /// Opens what a client brings.
    pub fn open(keys: &KeyRing, sealed: &str, now: Timestamp) -> Result<Self, InvalidObservation> {
        let observation: Self = keys.open(Purpose::Observation, sealed)?;
        if observation.at.until(now) > OBSERVATION_LIFE {
            return Err(InvalidObservation::Expired);
        }
        Ok(observation)
    }
}

/// What the observations of one socket say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where the socket was seen last.
    pub external: Option<SocketAddr>,
    /// How its NAT maps.
    pub mapping: Mapping,
}

/// Judges one socket by what CDX saw of it, beside the addresses that the device says are its own.
///
/// "No NAT" rests on both: the device names an address that CDX, too, sees on both its ports. A
/// device that lies here only says that it can be reached where it was seen.
pub fn judge(observations: &[Observation], own: impl IntoIterator<Item = SocketAddr>) -> Seen {
    let Some(latest) = observations.iter().max_by_key(|observation| observation.at) else {
        return Seen { external: None, mapping: Mapping::Unknown };
    };
    let mut others = observations.iter().filter(|other| other.cdx != latest.cdx).peekable();
    let mapping = if others.peek().is_none() {
        Mapping::Unknown
    } else if others.any(|other| other.observed != latest.observed) {
        Mapping::AddressAndPortDependent
    } else if own.into_iter().any(|own| own == latest.observed) {
        Mapping::None
    } else {
        Mapping::EndpointIndependent
    };
    Seen { external: Some(latest.observed), mapping }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::{
        seal::{RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn seen(observed: &str, cdx_port: u16) -> Observation {
        let cdx = SocketAddr::new("192.0.2.9".parse().unwrap(), cdx_port);
        Observation { observed: observed.parse().unwrap(), cdx, at: NOW }
    }

    fn mapping(observations: &[Observation], own: &[&str]) -> Mapping {
        judge(observations, own.iter().map(|own| own.parse().unwrap())).mapping
    }

    #[test]
    fn nat_1_the_mapping_is_judged_by_what_both_ports_saw() {
        let cone = [seen("198.51.100.7:4000", 1), seen("198.51.100.7:4000", 2)];
        assert_eq!(mapping(&cone, &["10.0.0.5:4000"]), Mapping::EndpointIndependent);
        let symmetric = [seen("198.51.100.7:4000", 1), seen("198.51.100.7:4001", 2)];
        assert_eq!(mapping(&symmetric, &["198.51.100.7:4000"]), Mapping::AddressAndPortDependent);
        assert_eq!(mapping(&cone, &["198.51.100.7:4000"]), Mapping::None);
    }

    #[test]
    fn nat_1_what_one_port_saw_says_where_but_not_how() {
        let once = judge(&[seen("198.51.100.7:4000", 1)], []);
        assert_eq!(
            once,
            Seen { external: Some("198.51.100.7:4000".parse().unwrap()), mapping: Mapping::Unknown }
        );
        let twice_the_same_port = [seen("198.51.100.7:4000", 1), seen("198.51.100.7:4000", 1)];
        assert_eq!(mapping(&twice_the_same_port, &[]), Mapping::Unknown);
        assert_eq!(judge(&[], []), Seen { external: None, mapping: Mapping::Unknown });
    }

    #[test]
    fn nat_1_the_external_address_is_the_one_seen_last() {
        let mut moved = seen("203.0.113.1:9", 2);
        moved.at = NOW.after(Duration::from_secs(1));
        let judged = judge(&[moved, seen("198.51.100.7:4000", 1)], []);
        assert_eq!(judged.external, Some(moved.observed));
    }

    #[test]
    fn hyb_1_an_observation_opens_for_ten_minutes_and_only_unchanged() {
        let keys = RootKeys::new([1; 32], []).ring(Scope::Cdx);
        let observation = seen("[2001:db8::7]:4000", 1);
        let sealed = observation.seal(&keys, &mut TestRng(1));
        assert_eq!(Observation::open(&keys, &sealed, NOW.after(OBSERVATION_LIFE)), Ok(observation));
        let late = NOW.after(OBSERVATION_LIFE + Duration::from_millis(1));
        assert_eq!(Observation::open(&keys, &sealed, late), Err(InvalidObservation::Expired));
        let foreign = RootKeys::new([2; 32], []).ring(Scope::Cdx);
        let refused = Observation::open(&foreign, &sealed, NOW);
        assert_eq!(refused, Err(InvalidObservation::Seal(SealError::UnknownKey)));
    }
}
