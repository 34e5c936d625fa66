//! A client's own exchange with CDX, encrypted both ways (NAT-2).
//!
//! The key stands in the handle that comes with the question, so that CDX keeps no table of clients. A question that is
//! not authentic is not answered; a repeated one is [noticed](Repeats) in a table of fixed size; and no answer is larger
//! than its question.

use alloc::{boxed::Box, vec::Vec};
use core::{hash::BuildHasher, num::NonZeroUsize};

use rand_core::CryptoRng;
use switchhook_protocol::{
    cdx::own::{ANSWER, Answer, Answered, Asked, NONCE, QUESTION, Question, TO_CDX},
    id::{DeviceId, TenantId},
    time::Timestamp,
};

use super::Route;
use crate::{
    connection_key::ConnectionKey,
    observation::Observation,
    seal::{KeyRing, SealError},
};

/// Why a question is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// It is cut, too long, no JSON of a question, or smaller than its answer.
    #[error("malformed")]
    Malformed,
    /// This host did not make the handle, or somebody changed it.
    #[error(transparent)]
    Handle(#[from] SealError),
    /// The handle's time is over.
    #[error("expired")]
    Expired,
    /// It is not sealed under the key of its handle.
    #[error("not under the connection's key")]
    Forged,
}

/// An authentic question.
#[derive(Debug)]
pub struct Heard {
    key: ConnectionKey,
    nonce: [u8; NONCE],
    question: Question,
    length: usize,
}

/// Whether a datagram is a question at all; if not, it may be STUN.
pub fn is_question(datagram: &[u8]) -> bool {
    datagram.first() == Some(&TO_CDX)
}

/// Opens a question.
pub fn hear(datagram: &[u8], keys: &KeyRing, now: Timestamp) -> Result<Heard, NotAnswered> {
    let Asked { handle, nonce, sealed } = Asked::read(datagram).ok_or(NotAnswered::Malformed)?;
    let key = ConnectionKey::open(keys, handle)?;
    if key.expires_at <= now {
        return Err(NotAnswered::Expired);
    }
    let plain = key.open_message(nonce, sealed, QUESTION).ok_or(NotAnswered::Forged)?;
    let question = serde_json::from_slice(&plain).or(Err(NotAnswered::Malformed))?;
    Ok(Heard { key, nonce: *nonce, question, length: datagram.len() })
}

impl Heard {
    /// Who asks: one device's questions are counted together, wherever they come from.
    pub const fn device(&self) -> (&TenantId, &DeviceId) {
        (&self.key.tenant, &self.key.device)
    }

    /// Of this question alone; see [`Repeats`].
    pub const fn nonce(&self) -> &[u8; NONCE] {
        &self.nonce
    }

    /// Writes the answer over what is in `out`.
    pub fn answer(
        &self,
        route: Route,
        (keys, now): (&KeyRing, Timestamp),
        rng: &mut impl CryptoRng,
        out: &mut Vec<u8>,
    ) -> Result<(), NotAnswered> {
        let observation = Observation { observed: route.from, cdx: route.to, at: now };
        let (number, sealed) = (self.question.number, observation.seal(keys, rng));
        let answer = serde_json::to_vec(&Answer { number, observed: route.from, sealed });
        let answer = answer.or(Err(NotAnswered::Malformed))?;
        let (nonce, sealed) = self.key.seal_message(&answer, ANSWER, rng).ok_or(NotAnswered::Malformed)?;
        Answered { nonce: &nonce, sealed: &sealed }.write(out);
        if out.len() <= self.length { Ok(()) } else { Err(NotAnswered::Malformed) }
    }
}

/// The last nonces that were seen, in a table of fixed size: a question is answered once.
///
/// Each nonce has one slot, by a hash with a secret key; the next one that falls there takes it. So a repeat goes
/// unnoticed if others came in between; it is then answered once more, with no more than it brought.
#[derive(Debug)]
pub struct Repeats<S> {
    seen: Box<[u64]>,
    slots: NonZeroUsize,
    hasher: S,
}

impl<S: BuildHasher> Repeats<S> {
    /// A table of so many slots, 8 bytes each.
    pub fn new(slots: NonZeroUsize, hasher: S) -> Self {
        Self { seen: core::iter::repeat_n(0, slots.get()).collect(), slots, hasher }
    }

    /// Remembers a nonce; false if it was seen before.
    pub fn is_new(&mut self, nonce: &[u8; NONCE]) -> bool {
        let mark = self.hasher.hash_one(nonce);
        let slot = usize::try_from(mark).unwrap_or_default() % self.slots;
        let Some(seen) = self.seen.get_mut(slot) else { return true };
        core::mem::replace(seen, mark) != mark
    }
}

#[cfg(test)]
mod tests {
    use alloc::{
        string::{String, ToString as _},
        vec,
    };
    use core::{hash::BuildHasherDefault, net::SocketAddr, time::Duration};

    use data_encoding::BASE64URL_NOPAD;
    use switchhook_protocol::{cdx::own::PADDING, server::CdxKey};

    use super::*;
    use crate::{
        cdx::Others,
        connection_key::LIFE,
        seal::{Purpose, RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn keys() -> KeyRing {
        RootKeys::new([1; 32], []).ring(Scope::Cdx)
    }

    fn key(keys: &KeyRing) -> (Vec<u8>, ConnectionKey) {
        key_of(keys, 1)
    }

    fn key_of(keys: &KeyRing, seed: u64) -> (Vec<u8>, ConnectionKey) {
        let (tenant, device) = ("acme".parse().unwrap(), "d1".parse().unwrap());
        let CdxKey { handle, .. } = ConnectionKey::give((&tenant, &device), (keys, NOW), &mut TestRng(seed));
        let handle = BASE64URL_NOPAD.decode(handle.as_bytes()).unwrap();
        let key = ConnectionKey::open(keys, &handle).unwrap();
        (handle, key)
    }

    fn question(padding: usize) -> Vec<u8> {
        let (handle, key) = key(&keys());
        let question = Question { number: 7, padding: "0".repeat(padding) };
        sealed(&handle, &key, &serde_json::to_vec(&question).unwrap())
    }

    fn sealed(handle: &[u8], key: &ConnectionKey, plain: &[u8]) -> Vec<u8> {
        let (nonce, sealed) = key.seal_message(plain, QUESTION, &mut TestRng(2)).unwrap();
        Asked { handle, nonce: &nonce, sealed: &sealed }.write().unwrap()
    }

    fn route(from: SocketAddr) -> Route {
        Route {
            from,
            to: "[2001:db8:ffff:ffff:ffff:ffff:ffff:9]:65479".parse().unwrap(),
            others: Others { port: 3480, ip: None },
        }
    }

    #[test]
    fn nat_2_a_client_learns_in_secret_where_it_is_seen_and_gets_no_more_than_it_sent() {
        let datagram = question(PADDING);
        let heard = hear(&datagram, &keys(), NOW.after(Duration::from_hours(23))).unwrap();
        assert_eq!(heard.device(), (&"acme".parse().unwrap(), &"d1".parse().unwrap()));
        // The longest that there is.
        let from: SocketAddr = "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535".parse().unwrap();
        let mut out = vec![9; 4];
        heard.answer(route(from), (&keys(), NOW), &mut TestRng(3), &mut out).unwrap();
        assert!(out.len() <= datagram.len(), "{} for {}", out.len(), datagram.len());
        let text = from.to_string();
        for readable in [text.as_bytes(), &b"observed"[..], &b"number"[..]] {
            assert!(!out.windows(readable.len()).any(|window| window == readable), "nobody reads along");
        }

        let (_, key) = key(&keys());
        let Answered { nonce, sealed } = Answered::read(&out).unwrap();
        assert_eq!(key.open_message(nonce, sealed, QUESTION), None, "an answer is no question");
        let answer: Answer =
            serde_json::from_slice(&key.open_message(nonce, sealed, ANSWER).unwrap()).unwrap();
        assert_eq!((answer.number, answer.observed), (7, from));
        let observation = Observation::open(&keys(), &answer.sealed, NOW).unwrap();
        assert_eq!((observation.observed, observation.cdx), (from, route(from).to));
    }

    #[test]
    fn nat_2_a_forged_foreign_cut_or_changed_question_is_dropped() {
        let good = question(PADDING);
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(hear(&changed, &keys(), NOW).is_err(), "byte {at}");
            assert!(hear(&good[..at], &keys(), NOW).is_err(), "cut at {at}");
        }
        let foreign = RootKeys::new([2; 32], []).ring(Scope::Cdx);
        assert_eq!(hear(&good, &foreign, NOW).err(), Some(NotAnswered::Handle(SealError::UnknownKey)));
        let (handle, _) = key(&keys());
        let (_, other) = key_of(&foreign, 9);
        let under_another_key = sealed(&handle, &other, b"{}");
        assert_eq!(
            hear(&under_another_key, &keys(), NOW).err(),
            Some(NotAnswered::Forged),
            "a handle that was seen"
        );
        let (_, key) = key(&keys());
        let observation = keys().seal_bytes(Purpose::Observation, b"an observation", &mut TestRng(1));
        let other = sealed(&observation, &key, b"{}");
        assert_eq!(hear(&other, &keys(), NOW).err(), Some(NotAnswered::Handle(SealError::Forged)));
        assert_eq!(hear(&sealed(&handle, &key, b"[]"), &keys(), NOW).err(), Some(NotAnswered::Malformed));
    }

    #[test]
    fn nat_2_a_handle_counts_for_its_time_and_under_the_previous_key_after_a_rotation() {
        let datagram = question(PADDING);
        assert_eq!(hear(&datagram, &keys(), NOW.after(LIFE)).err(), Some(NotAnswered::Expired));
        let rotated = RootKeys::new([2; 32], [[1; 32]]).ring(Scope::Cdx);
        assert!(hear(&datagram, &rotated, NOW).is_ok());
    }

    #[test]
    fn nat_2_a_question_that_is_smaller_than_its_answer_gets_none() {
        let from: SocketAddr = "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535".parse().unwrap();
        let heard = hear(&question(0), &keys(), NOW).unwrap();
        let answered = heard.answer(route(from), (&keys(), NOW), &mut TestRng(3), &mut Vec::new());
        assert_eq!(answered, Err(NotAnswered::Malformed));
    }

    /// Adds up what it hears.
    #[derive(Default)]
    struct Sum(u64);

    impl core::hash::Hasher for Sum {
        fn write(&mut self, bytes: &[u8]) {
            self.0 += bytes.iter().copied().map(u64::from).sum::<u64>();
        }

        fn finish(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn nat_2_a_repeated_question_is_noticed() {
        let slots = NonZeroUsize::new(NONCE).unwrap();
        let mut repeats: Repeats<BuildHasherDefault<Sum>> =
            Repeats::new(slots, BuildHasherDefault::default());
        let mut seen = |byte| repeats.is_new(&[byte; NONCE]);
        assert_eq!([1, 1, 1].map(&mut seen), [true, false, false]);
        assert_eq!([2, 1].map(&mut seen), [true, true], "another one took its slot");
    }

    #[test]
    fn what_prints_a_key_does_not_show_it() {
        let (_, key) = key(&keys());
        let shown: String = alloc::format!("{key:?}");
        assert!(shown.contains("acme") && !shown.contains("key:"), "{shown}");
    }
}
