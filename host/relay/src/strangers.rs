//! How many answers one source gets before it has shown credentials, in a table that never grows.
//!
//! Whoever writes a false source address into a request has its answer sent there. So answers to
//! strangers are bounded by whom they go to. Sources are spread over the slots by a hash with a secret
//! key; two that fall together share a bucket, and nobody can aim at another's.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    time::Duration,
};

use switchhook_core::{
    rate::{Bucket, Rate},
    subscriber::Subscriber,
};

use crate::limits;

#[derive(Debug)]
pub(crate) struct Strangers {
    rate: Rate,
    buckets: Box<[Bucket]>,
    hasher: RandomState,
}

impl Strangers {
    pub(crate) fn new(rate: Rate) -> Self {
        let buckets = (0..limits::STRANGERS).map(|_| Bucket::default()).collect();
        Self { rate, buckets, hasher: RandomState::new() }
    }

    /// Whether a source is answered, at `now` since the relay's start.
    pub(crate) fn may_ask(&self, source: IpAddr, now: Duration) -> bool {
        if self.rate == Rate::UNLIMITED {
            return true;
        }
        let hash = self.hasher.hash_one(Subscriber::from(source));
        let slot = usize::try_from(hash % limits::STRANGERS).unwrap_or_default();
        self.buckets.get(slot).is_none_or(|bucket| bucket.take(self.rate, 1, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_source_and_others_are_served() {
        let strangers = Strangers::new(Rate { burst: 3, per_second: 10 });
        let ask = |source: &str| strangers.may_ask(source.parse().unwrap(), Duration::ZERO);
        let asked = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8::3"];
        assert_eq!(asked.map(ask), [true, true, true, false]);
        assert!(ask("192.0.2.1") || ask("192.0.2.2"), "unless both fall into the same slot");
    }
}
