//! End-to-end encryption of a session's datagrams, on whichever path (DESIGN §5).
//!
//! Noise `KKpsk0`: each side knows the other's X25519 key beforehand, from invite and accept, signed
//! there by the device key; the pre-shared key is the session's media key, so that nobody outside of
//! the session costs us a key agreement; the prologue is the session's id. The host, which knows the media key
//! and carries the session keys, cannot read: it has neither private key, and cannot sign one.
//!
//! ```text
//! 0xC0 | Noise handshake message                     the inviter's first, then the other side's
//! 0xC1 | counter, 64 bits | sealed: kind, payload    in any order, each counter once
//! ```
//!
//! STUN begins with a byte below 0x40 and TURN's channels below 0x80, so one socket carries all.
//! The inviter repeats its message until it is answered, the other side its answer until it has
//! opened a datagram: then both know that both have the keys.

use core::{
    fmt,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use data_encoding::BASE64URL_NOPAD;
use snow::{Builder, HandshakeState, StatelessTransportState, params::NoiseParams};
use switchhook_protocol::{
    device_key::{BadProof, KeyBytes, Statement},
    id::{SessionId, TenantId},
    peer::{Peer, SessionKey},
};
use zeroize::Zeroizing;

use self::replay::ReplayWindow;
use crate::{identity::DeviceKey, limits};

mod replay;

/// Largest datagram of an application, in bytes.
///
/// With our header and seal, TURN's, UDP's and IPv6's it stays within the 1 280 bytes that every
/// IPv6 path carries.
pub const MAX_DATAGRAM: usize = 1_180;

const PATTERN: &str = "Noise_KKpsk0_25519_ChaChaPoly_BLAKE2s";
pub(crate) const HANDSHAKE: u8 = 0xC0;
const DATA: u8 = 0xC1;
/// First byte, counter.
const HEADER: usize = 1 + 8;
const TAG: usize = 16;
/// A sealed datagram, with its kind.
pub(crate) const MAX_SEALED: usize = HEADER + 1 + MAX_DATAGRAM + TAG;
/// Both messages are an ephemeral key and a tag.
pub(crate) const HANDSHAKE_MESSAGE: usize = 32 + TAG;

/// Which end of an invitation this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It invited; it chooses the path and begins the handshake.
    Inviter,
    /// It accepted.
    Callee,
}

impl Side {
    /// Name this end of a session, and the other one, in what only the two may say.
    pub(crate) fn names(self, session: &SessionId) -> (String, String) {
        let (mine, theirs) = match self {
            Self::Inviter => ("inviter", "callee"),
            Self::Callee => ("callee", "inviter"),
        };
        (format!("{session}:{mine}"), format!("{session}:{theirs}"))
    }
}

/// This device's private key for the datagrams of one session.
#[derive(Clone)]
pub(crate) struct SessionSecret {
    private: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
}

/// The key that the host gives both sides of a session.
#[derive(Clone)]
pub(crate) struct MediaKey(Zeroizing<[u8; 32]>);

/// Keys cannot be made, or a peer's are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The peer's device key has not signed its session key.
    #[error("the peer's session key is not signed by its device key")]
    Unsigned,
    /// A key has the wrong size.
    #[error("a key is malformed")]
    Malformed,
    /// The system gives no randomness.
    #[error("no key could be made")]
    Generation,
}

/// All that a handshake rests on.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) session: SessionId,
    pub(crate) mine: SessionSecret,
    pub(crate) theirs: Vec<u8>,
    pub(crate) media_key: MediaKey,
}

impl SessionSecret {
    /// Makes a key, for one session.
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let pair = builder()?.generate_keypair().map_err(|_no_randomness| KeyError::Generation)?;
        Ok(Self { private: Zeroizing::new(pair.private), public: pair.public })
    }

    /// The public half, signed by the device key: for invite and accept.
    pub(crate) fn session_key(&self, device: &DeviceKey, tenant: &TenantId) -> SessionKey {
        let signature = device.sign(&Statement::SessionKey { tenant, public: &self.public });
        SessionKey { public: KeyBytes(self.public.clone()), signature }
    }
}

impl MediaKey {
    pub(crate) fn read(text: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).or(Err(KeyError::Malformed))?);
        let key = <[u8; 32]>::try_from(bytes.as_slice()).or(Err(KeyError::Malformed))?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// As bytes, to derive other keys from.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As the password of connectivity checks.
    pub(crate) fn text(&self) -> String {
        BASE64URL_NOPAD.encode(self.0.as_slice())
    }
}

/// The peer's session key, if its device key has signed it.
pub(crate) fn peer_key(peer: &Peer, tenant: &TenantId) -> Result<Vec<u8>, KeyError> {
    let SessionKey { public, signature } = &peer.session_key;
    if public.0.len() != 32 {
        return Err(KeyError::Malformed);
    }
    let statement = Statement::SessionKey { tenant, public: &public.0 };
    peer.device_key.verify(&statement, signature).map_err(|BadProof| KeyError::Unsigned)?;
    Ok(public.0.clone())
}

impl Secrets {
    fn noise(&self, side: Side) -> Result<HandshakeState, KeyError> {
        let builder = builder()?
            .psk(0, &self.media_key.0)
            .and_then(|builder| builder.prologue(self.session.as_str().as_bytes()))
            .and_then(|builder| builder.local_private_key(&self.mine.private))
            .and_then(|builder| builder.remote_public_key(&self.theirs));
        let noise = builder.and_then(|builder| match side {
            Side::Inviter => builder.build_initiator(),
            Side::Callee => builder.build_responder(),
        });
        noise.map_err(|_invalid| KeyError::Malformed)
    }
}

fn builder<'a>() -> Result<Builder<'a>, KeyError> {
    let params: NoiseParams = PATTERN.parse().map_err(|_invalid| KeyError::Malformed)?;
    Ok(Builder::new(params))
}

/// What a sealed datagram is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The application's.
    Application,
    /// Says that the path lives and the keys are right.
    Alive,
    /// The other side is done.
    Bye,
}

/// Seals and opens datagrams.
pub(crate) struct Transport {
    noise: StatelessTransportState,
    sent: AtomicU64,
    window: Mutex<ReplayWindow>,
}

impl Transport {
    fn new(noise: HandshakeState) -> Option<Self> {
        let noise = noise.into_stateless_transport_mode().ok()?;
        Some(Self { noise, sent: AtomicU64::new(0), window: Mutex::default() })
    }

    /// Seals a payload of at most [`MAX_DATAGRAM`] bytes; the sealed part of `out`.
    pub(crate) fn seal<'a>(
        &self,
        kind: Kind,
        payload: &[u8],
        out: &'a mut [u8; MAX_SEALED],
    ) -> Option<&'a [u8]> {
        let mut plain = [0; 1 + MAX_DATAGRAM];
        let (first, rest) = plain.split_first_mut()?;
        *first = kind.byte();
        rest.get_mut(..payload.len())?.copy_from_slice(payload);
        let counter = self.sent.fetch_add(1, Ordering::Relaxed);
        let (header, body) = out.split_at_mut_checked(HEADER)?;
        let (first, field) = header.split_first_mut()?;
        *first = DATA;
        field.copy_from_slice(&counter.to_be_bytes());
        let length = self.noise.write_message(counter, plain.get(..1 + payload.len())?, body).ok()?;
        out.get(..HEADER + length)
    }

    /// Opens a datagram, once; none if it is not of this session, changed, or seen before.
    pub(crate) fn open<'a>(
        &self,
        datagram: &[u8],
        out: &'a mut [u8; MAX_SEALED],
    ) -> Option<(Kind, &'a [u8])> {
        let (header, body) = datagram.split_first_chunk::<HEADER>()?;
        let [DATA, counter @ ..] = *header else { return None };
        let counter = u64::from_be_bytes(counter);
        // An old counter is not worth the decryption; a new one counts only after it.
        if !self.window().is_new(counter) {
            return None;
        }
        let length = self.noise.read_message(counter, body, out).ok()?;
        if !self.window().take(counter) {
            return None;
        }
        let (kind, payload) = out.get(..length)?.split_first()?;
        Some((Kind::of(*kind)?, payload))
    }

    fn window(&self) -> std::sync::MutexGuard<'_, ReplayWindow> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Application => 0,
            Self::Alive => 1,
            Self::Bye => 2,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Application),
            1 => Some(Self::Alive),
            2 => Some(Self::Bye),
            _ => None,
        }
    }
}

/// The handshake over one path, and the answers to its repeats afterwards.
///
/// A machine: after each `handle_*`, take transmits until there are none, and look at
/// [`Self::established`].
pub(crate) struct Handshake {
    secrets: Secrets,
    state: State,
    peer: Option<SocketAddr>,
    next: Option<Instant>,
    repeat: Duration,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
}

enum State {
    /// The callee, before a first message.
    Listening,
    /// The inviter: its message, unanswered.
    Asking { noise: Box<HandshakeState>, message: Vec<u8> },
    /// The callee: the inviter's message, the answer, and keys that nothing has proven yet.
    Answered { message: Vec<u8>, answer: Vec<u8>, transport: Arc<Transport> },
    /// Both have the keys. The callee keeps its answer for repeats.
    Established { answer: Option<Vec<u8>>, transport: Arc<Transport> },
}

/// Keys that both sides have, and where the other side is.
#[derive(Debug, Clone)]
pub(crate) struct Established {
    pub(crate) transport: Arc<Transport>,
    pub(crate) peer: SocketAddr,
}

impl Handshake {
    pub(crate) fn new(secrets: Secrets, side: Side) -> Result<Self, KeyError> {
        let state = match side {
            Side::Callee => State::Listening,
            Side::Inviter => {
                let mut noise = Box::new(secrets.noise(side)?);
                let message = write(&mut noise).ok_or(KeyError::Generation)?;
                State::Asking { noise, message }
            }
        };
        let transmits = VecDeque::new();
        Ok(Self { secrets, state, peer: None, next: None, repeat: limits::HANDSHAKE_REPEAT, transmits })
    }

    /// A path works, or another one; the inviter begins there, the callee goes on listening.
    pub(crate) fn begin(&mut self, peer: SocketAddr, now: Instant) {
        if matches!(self.state, State::Asking { .. }) && self.peer != Some(peer) {
            self.peer = Some(peer);
            self.transmit(now);
        }
    }

    /// Takes in a datagram that may be of a handshake, or the data that completes one; true if it is
    /// authentic.
    pub(crate) fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> bool {
        match datagram.split_first() {
            Some((&HANDSHAKE, message)) => self.message(from, message, now),
            Some((&DATA, _)) => self.confirmed(datagram),
            Some(_) | None => false,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_some_and(|next| next <= now) {
            self.transmit(now);
        }
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmits.pop_front()
    }

    /// The keys, once both sides have them.
    pub(crate) fn established(&self) -> Option<Established> {
        let State::Established { transport, .. } = &self.state else { return None };
        Some(Established { transport: Arc::clone(transport), peer: self.peer? })
    }

    fn message(&mut self, from: SocketAddr, message: &[u8], now: Instant) -> bool {
        if message.len() != HANDSHAKE_MESSAGE {
            return false;
        }
        match &mut self.state {
            State::Asking { noise, .. } => {
                // A failed read leaves the state as it was.
                let read = noise.read_message(message, &mut []).is_ok();
                read && self.answered(from)
            }
            State::Answered { message: known, .. } if known == message => {
                self.peer = Some(from);
                self.transmit(now);
                true
            }
            State::Listening | State::Answered { .. } => self.answer(from, message, now),
            State::Established { answer: Some(answer), .. } => {
                self.transmits.push_back((from, framed(answer)));
                true
            }
            State::Established { answer: None, .. } => {
                // The callee repeats its answer: it has not heard that we have it.
                self.confirm(from);
                true
            }
        }
    }

    /// The inviter has its answer.
    fn answered(&mut self, from: SocketAddr) -> bool {
        let State::Asking { noise, .. } = core::mem::replace(&mut self.state, State::Listening) else {
            return false;
        };
        let Some(transport) = Transport::new(*noise) else { return false };
        self.state = State::Established { answer: None, transport: Arc::new(transport) };
        self.peer = Some(from);
        self.next = None;
        self.confirm(from);
        true
    }

    /// The callee answers, if the message is authentic. A fresh state for each: a stranger's message
    /// leaves no trace.
    fn answer(&mut self, from: SocketAddr, message: &[u8], now: Instant) -> bool {
        let Ok(mut noise) = self.secrets.noise(Side::Callee) else { return false };
        if noise.read_message(message, &mut []).is_err() {
            return false;
        }
        let Some(answer) = write(&mut noise) else { return false };
        let Some(transport) = Transport::new(noise) else { return false };
        self.state = State::Answered { message: message.to_vec(), answer, transport: Arc::new(transport) };
        self.peer = Some(from);
        self.repeat = limits::HANDSHAKE_REPEAT;
        self.transmit(now);
        true
    }

    /// A datagram opens: the inviter has the keys.
    fn confirmed(&mut self, datagram: &[u8]) -> bool {
        let State::Answered { answer, transport, .. } = &self.state else { return false };
        if !transport.would_open(datagram) {
            return false;
        }
        let answer = Some(answer.clone());
        self.state = State::Established { answer, transport: Arc::clone(transport) };
        self.next = None;
        true
    }

    fn confirm(&mut self, to: SocketAddr) {
        let State::Established { transport, .. } = &self.state else { return };
        let mut out = [0; MAX_SEALED];
        if let Some(sealed) = transport.seal(Kind::Alive, &[], &mut out) {
            self.transmits.push_back((to, sealed.to_vec()));
        }
    }

    fn transmit(&mut self, now: Instant) {
        let (State::Asking { message, .. } | State::Answered { answer: message, .. }) = &self.state else {
            self.next = None;
            return;
        };
        let Some(peer) = self.peer else { return };
        self.transmits.push_back((peer, framed(message)));
        self.next = Some(now + self.repeat);
        self.repeat = (self.repeat * 2).min(limits::HANDSHAKE_REPEAT_MAX);
    }
}

impl Transport {
    /// Whether a datagram is authentic; it can still be opened after that.
    fn would_open(&self, datagram: &[u8]) -> bool {
        let Some((header, body)) = datagram.split_first_chunk::<HEADER>() else { return false };
        let [DATA, counter @ ..] = *header else { return false };
        let mut out = [0; MAX_SEALED];
        self.noise.read_message(u64::from_be_bytes(counter), body, &mut out).is_ok()
    }
}

/// Whether it may be a sealed datagram.
pub(crate) fn is_data(datagram: &[u8]) -> bool {
    datagram.first() == Some(&DATA)
}

fn write(noise: &mut HandshakeState) -> Option<Vec<u8>> {
    let mut message = vec![0; HANDSHAKE_MESSAGE];
    let length = noise.write_message(&[], &mut message).ok()?;
    message.truncate(length);
    Some(message)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(1 + message.len());
    framed.push(HANDSHAKE);
    framed.extend_from_slice(message);
    framed
}

macro_rules! masked {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

masked!(SessionSecret MediaKey Secrets Transport Handshake);

#[cfg(test)]
mod tests;
