//! Which ports of the relay's addresses allocations have: peers on those addresses are reached by no others.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// One bit for each port of one address.
#[derive(Debug)]
pub(crate) struct Ports(Box<[AtomicU64]>);

/// A port that is given out, until this is dropped.
#[derive(Debug)]
pub(crate) struct GivenOut {
    ports: Arc<Ports>,
    port: u16,
}

impl Ports {
    pub(crate) fn new() -> Self {
        Self((0..=u16::MAX / 64).map(|_| AtomicU64::new(0)).collect())
    }

    /// Whether an allocation has this port.
    pub(crate) fn has(&self, port: u16) -> bool {
        let word = self.0.get(usize::from(port / 64));
        word.is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (port % 64)) != 0)
    }

    pub(crate) fn give_out(self: &Arc<Self>, port: u16) -> GivenOut {
        self.set(port, true);
        GivenOut { ports: Arc::clone(self), port }
    }

    fn set(&self, port: u16, given_out: bool) {
        let Some(word) = self.0.get(usize::from(port / 64)) else { return };
        let bit = 1 << (port % 64);
        // Nothing else is published by these bits: each stands for itself.
        if given_out {
            word.fetch_or(bit, Ordering::Relaxed)
        } else {
            word.fetch_and(!bit, Ordering::Relaxed)
        };
    }
}

impl Drop for GivenOut {
    fn drop(&mut self) {
        self.ports.set(self.port, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_counts_as_long_as_it_is_held() {
        let ports = Arc::new(Ports::new());
        let held = [0, 63, 64, u16::MAX].map(|port| ports.give_out(port));
        assert!([0, 63, 64, u16::MAX].iter().all(|port| ports.has(*port)));
        assert!(![1, 62, 65, u16::MAX - 1].iter().any(|port| ports.has(*port)));
        drop(held);
        assert!(![0, 63, 64, u16::MAX].iter().any(|port| ports.has(*port)));
    }
}
