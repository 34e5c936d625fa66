use switchhook_protocol::{device_key::KeyBytes, peer::Peer};

use super::*;

fn addr(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 4_000))
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn media_key(byte: u8) -> MediaKey {
    MediaKey(Zeroizing::new([byte; 32]))
}

fn secrets(mine: &SessionSecret, theirs: &SessionSecret, media_key: MediaKey) -> Secrets {
    let session = "s1".parse().unwrap();
    Secrets { session, mine: mine.clone(), theirs: theirs.public.clone(), media_key }
}

struct Pair {
    inviter: Handshake,
    callee: Handshake,
    now: Instant,
}

impl Pair {
    fn new(inviter_key: u8, callee_key: u8) -> Self {
        let (a, b) = (SessionSecret::generate().unwrap(), SessionSecret::generate().unwrap());
        Self {
            inviter: Handshake::new(secrets(&a, &b, media_key(inviter_key)), Side::Inviter).unwrap(),
            callee: Handshake::new(secrets(&b, &a, media_key(callee_key)), Side::Callee).unwrap(),
            now: now(),
        }
    }

    /// Carries one datagram each way, or loses it.
    fn carry(&mut self, to_callee: bool, to_inviter: bool) {
        while let Some((_, datagram)) = self.inviter.poll_transmit() {
            if to_callee {
                self.callee.handle_datagram(addr(1), &datagram, self.now);
            }
        }
        while let Some((_, datagram)) = self.callee.poll_transmit() {
            if to_inviter {
                self.inviter.handle_datagram(addr(2), &datagram, self.now);
            }
        }
    }

    fn wait(&mut self) {
        self.now += limits::HANDSHAKE_REPEAT_MAX;
        self.inviter.handle_timeout(self.now);
        self.callee.handle_timeout(self.now);
    }

    fn established(mut self) -> (Arc<Transport>, Arc<Transport>) {
        self.inviter.begin(addr(2), self.now);
        self.carry(true, true);
        self.carry(true, true);
        let (inviter, callee) = (self.inviter.established().unwrap(), self.callee.established().unwrap());
        assert_eq!((inviter.peer, callee.peer), (addr(2), addr(1)));
        (inviter.transport, callee.transport)
    }
}

fn sealed(transport: &Transport, payload: &[u8]) -> Vec<u8> {
    transport.seal(Kind::Application, payload, &mut [0; MAX_SEALED]).unwrap().to_vec()
}

fn opened(transport: &Transport, datagram: &[u8]) -> Option<Vec<u8>> {
    let mut out = [0; MAX_SEALED];
    let (kind, payload) = transport.open(datagram, &mut out)?;
    assert_eq!(kind, Kind::Application);
    Some(payload.to_vec())
}

#[test]
fn both_sides_read_each_other_and_nobody_reads_itself() {
    let (inviter, callee) = Pair::new(7, 7).established();
    let datagram = sealed(&inviter, b"hello");
    assert!(!datagram.windows(5).any(|window| window == b"hello"));
    assert_eq!(opened(&inviter, &datagram), None);
    assert_eq!(opened(&callee, &datagram).as_deref(), Some(&b"hello"[..]));
    assert_eq!(opened(&inviter, &sealed(&callee, b"")).as_deref(), Some(&b""[..]));
    let largest = [9; MAX_DATAGRAM];
    assert_eq!(opened(&callee, &sealed(&inviter, &largest)).as_deref(), Some(&largest[..]));
    assert!(inviter.seal(Kind::Application, &[0; MAX_DATAGRAM + 1], &mut [0; MAX_SEALED]).is_none());
}

#[test]
fn a_replayed_a_changed_and_a_foreign_datagram_do_not_open() {
    let (inviter, callee) = Pair::new(7, 7).established();
    let datagram = sealed(&inviter, b"once");
    for at in 0..datagram.len() {
        let mut changed = datagram.clone();
        changed[at] ^= 1;
        assert_eq!(opened(&callee, &changed), None, "byte {at}");
    }
    assert_eq!(opened(&callee, &datagram[..datagram.len() - 1]), None);
    assert!(opened(&callee, &datagram).is_some());
    assert_eq!(opened(&callee, &datagram), None);
    let (other, _) = Pair::new(7, 7).established();
    assert_eq!(opened(&callee, &sealed(&other, b"x")), None);
}

#[test]
fn datagrams_may_be_lost_and_reordered() {
    let (inviter, callee) = Pair::new(7, 7).established();
    let mut datagrams: Vec<Vec<u8>> = (0..50u8).map(|n| sealed(&inviter, &[n])).collect();
    datagrams.reverse();
    for (n, datagram) in (0..50u8).rev().zip(&datagrams).filter(|(n, _)| n % 3 != 0) {
        assert_eq!(opened(&callee, datagram), Some(vec![n]));
    }
}

#[test]
fn the_handshake_survives_the_loss_of_each_of_its_messages() {
    let mut pair = Pair::new(7, 7);
    pair.inviter.begin(addr(2), pair.now);
    pair.carry(false, true); // the first message is lost
    pair.wait();
    pair.carry(true, false); // the answer is lost
    assert!(pair.inviter.established().is_none());
    pair.wait();
    pair.carry(true, true); // both again
    assert!(pair.inviter.established().is_some());
    pair.carry(false, true); // the confirmation is lost
    assert!(pair.callee.established().is_none());
    pair.wait();
    pair.carry(true, true); // the callee repeats its answer
    pair.carry(true, true); // and is told again
    let (inviter, callee) = (pair.inviter.established().unwrap(), pair.callee.established().unwrap());
    assert_eq!(opened(&callee.transport, &sealed(&inviter.transport, b"x")), Some(b"x".to_vec()));
    assert_eq!((pair.inviter.poll_timeout(), pair.callee.poll_timeout()), (None, None));
}

#[test]
fn another_media_key_another_session_and_another_peer_do_not_meet() {
    let mut pair = Pair::new(7, 8);
    pair.inviter.begin(addr(2), pair.now);
    pair.carry(true, true);
    assert!(pair.callee.peer.is_none() && pair.inviter.established().is_none());

    let mut pair = Pair::new(7, 7);
    pair.callee.secrets.session = "s2".parse().unwrap();
    pair.inviter.begin(addr(2), pair.now);
    pair.carry(true, true);
    assert!(pair.callee.peer.is_none());

    let mut pair = Pair::new(7, 7);
    pair.callee.secrets.theirs = SessionSecret::generate().unwrap().public;
    pair.inviter.begin(addr(2), pair.now);
    pair.carry(true, true);
    assert!(pair.callee.peer.is_none());
}

#[test]
fn a_strangers_datagrams_change_nothing() {
    let mut pair = Pair::new(7, 7);
    let mut garbage = vec![0x55; 1 + HANDSHAKE_MESSAGE];
    garbage[0] = HANDSHAKE;
    pair.inviter.begin(addr(2), pair.now);
    for machine in [&mut pair.inviter, &mut pair.callee] {
        assert!(!machine.handle_datagram(addr(9), &garbage, pair.now));
        assert!(!machine.handle_datagram(addr(9), b"", pair.now));
        assert!(!machine.handle_datagram(addr(9), &[DATA; 40], pair.now));
    }
    pair.established();
}

#[test]
fn a_session_key_that_the_device_key_has_not_signed_is_refused() {
    let tenant = "acme".parse().unwrap();
    let device = DeviceKey::generate(&mut rand::rng());
    let secret = SessionSecret::generate().unwrap();
    let peer = Peer {
        alias: "a".into(),
        endpoint: "+15550100".parse().unwrap(),
        device_key: device.public(),
        session_key: secret.session_key(&device, &tenant),
    };
    assert_eq!(peer_key(&peer, &tenant), Ok(secret.public));
    assert_eq!(peer_key(&peer, &"other".parse().unwrap()), Err(KeyError::Unsigned));
    let mut foreign = peer;
    foreign.session_key.public = KeyBytes(vec![3; 32]);
    assert_eq!(peer_key(&foreign, &tenant), Err(KeyError::Unsigned));
}
