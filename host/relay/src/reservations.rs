//! Ports that are kept for a second allocation (RFC 8656 §7.2, EVEN-PORT and RESERVATION-TOKEN).
//!
//! Clients that send RTCP beside RTP ask for a port and the next one; the next one waits here for some
//! seconds, for the same participant.

use std::{
    collections::HashMap,
    net::UdpSocket,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use crate::{limits, quotas::Participant};

/// What a client shows to get the port that was kept for it.
pub(crate) type ReservationToken = [u8; 8];

#[derive(Debug, Default)]
pub(crate) struct Reservations(Mutex<HashMap<ReservationToken, Reserved>>);

#[derive(Debug)]
struct Reserved {
    participant: Participant,
    socket: UdpSocket,
    until: Instant,
}

impl Reservations {
    /// Keeps a socket; nothing where too many are kept.
    pub(crate) fn keep(
        &self,
        socket: UdpSocket,
        participant: &Participant,
        now: Instant,
    ) -> Option<ReservationToken> {
        let until = now + limits::RESERVATION;
        let reserved = Reserved { participant: participant.clone(), socket, until };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = kept.values().filter(|kept| kept.participant == *participant).count();
        if kept.len() >= limits::RESERVATIONS || own >= limits::RESERVATIONS_OF_PARTICIPANT {
            return None;
        }
        let token = rand::random();
        kept.insert(token, reserved);
        drop(kept);
        Some(token)
    }

    /// Gives out what was kept under a token for this participant.
    pub(crate) fn take(
        &self,
        token: ReservationToken,
        participant: &Participant,
        now: Instant,
    ) -> Option<UdpSocket> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&token).filter(|reserved| reserved.until > now && reserved.participant == *participant)?;
        kept.remove(&token).map(|reserved| reserved.socket)
    }

    /// Lets go what nobody came for in time.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, reserved| reserved.until > now);
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn participant(device: &str) -> Participant {
        let (tenant, session) = ("acme".parse().unwrap(), "s1".parse().unwrap());
        Participant { tenant, session, device: device.parse().unwrap() }
    }

    #[test]
    fn a_port_is_kept_for_its_participant_and_its_time() {
        let (reservations, now) = (Reservations::default(), Instant::now());
        let keep = || reservations.keep(UdpSocket::bind("127.0.0.1:0").unwrap(), &participant("d1"), now);
        let [first, second] = [keep().unwrap(), keep().unwrap()];
        assert!(keep().is_none(), "a participant has two at most");
        assert!(reservations.take(first, &participant("d2"), now).is_none());
        assert!(reservations.take([0; 8], &participant("d1"), now).is_none());
        assert!(reservations.take(first, &participant("d1"), now).is_some());
        assert!(reservations.take(first, &participant("d1"), now).is_none(), "once");

        let late = now + Duration::from_secs(31);
        assert!(reservations.take(second, &participant("d1"), late).is_none());
        reservations.sweep(late);
        assert!(reservations.is_empty());
    }
}
