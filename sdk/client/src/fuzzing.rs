//! What no bytes of a stranger may do to the client's own decoders, which nobody outside sees. A broken rule
//! is a panic; each function says whether the bytes came as far as its rule.

use std::net::SocketAddr;

use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_protocol::{
    device_key::KeyBytes,
    server::{CdxAddresses, CdxKey},
};

use crate::{
    gather::{Gathering, Observer},
    identity::DeviceKey,
    mailbox::{Expected, token::tokens},
    relay::{stream::take, turn::is_trusted_with},
    secure::{HANDSHAKE, HANDSHAKE_MESSAGE, Handshake, MediaKey, Secrets, SessionSecret, Side},
    stun::{Checks, observation_answer, observation_request, read_observation},
};

/// A media key, as the host writes it.
const MEDIA_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Letters and digits of a token in a mail.
const TOKEN: usize = 48;

/// A datagram on a socket of a call: without the keys nobody has checked a path or answered for CDX, and an answer
/// of standard STUN is read the same when it is written anew.
///
/// # Panics
///
/// When a rule is broken.
pub fn datagram(bytes: &[u8]) -> bool {
    let checks = Checks::new("key".to_owned(), "s:inviter".to_owned(), "s:callee".to_owned());
    assert_eq!(checks.read(bytes), None, "a check under no key");
    assert!(!is_believed_of_cdx(bytes), "an answer under no key");
    let Some(observed) = read_observation(bytes) else { return false };
    let Some(sealed) = &observed.sealed else { return true };
    assert!(sealed.len() < bytes.len());
    let request = observation_request(observed.transaction);
    let anew = request.and_then(|request| observation_answer(&request, observed.address, sealed));
    // What came beside it may have left no room for the padding of the last attribute.
    let read = anew.filter(|anew| anew.len() <= bytes.len()).map(|anew| read_observation(&anew));
    assert!(read.is_none_or(|read| read.as_ref() == Some(&observed)), "{observed:?}");
    true
}

/// Whether a client that has a key takes this for an answer.
fn is_believed_of_cdx(bytes: &[u8]) -> bool {
    let [primary, secondary] = [3479, 3480].map(|port| SocketAddr::from(([192, 0, 2, 9], port)));
    let cdx = CdxAddresses { primary, secondary, other_family: None };
    let key = CdxKey { handle: "aGFuZGxl".to_owned(), key: KeyBytes(vec![7; 32]), expires_in_ms: 60_000 };
    let now = tokio::time::Instant::now().into_std();
    let observer = Observer::under(cdx, Some(&key), now);
    let mut gathering = Gathering::new(&observer, now, StdRng::seed_from_u64(1));
    gathering.handle_datagram(primary, bytes, now);
    !gathering.gathered(Vec::new()).candidates.is_empty()
}

/// A stream from a relay: it is cut into the same messages however it comes, and each says itself how long it is. True if
/// there are any.
///
/// # Panics
///
/// When a rule is broken.
pub fn relay_stream(bytes: &[u8]) -> bool {
    let at_once = messages([bytes]);
    assert_eq!(messages(bytes.chunks(1)), at_once, "byte by byte");
    assert_eq!(messages(bytes.chunks(7)), at_once, "in pieces");
    let (messages, _) = at_once;
    assert!(messages.iter().map(Vec::len).sum::<usize>() <= bytes.len());
    for message in &messages {
        let mut alone = message.clone();
        alone.resize(message.len().next_multiple_of(4), 0);
        assert_eq!(take(&mut alone).ok().flatten().as_ref(), Some(message));
        assert!(alone.is_empty(), "{} bytes beside it", alone.len());
        let rng = StdRng::seed_from_u64(1);
        assert!(
            !is_trusted_with(message, (rng, tokio::time::Instant::now().into_std())),
            "an address under no key"
        );
    }
    !messages.is_empty()
}

/// What is taken from a stream that comes so, and whether it was ended.
fn messages<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let (mut buffered, mut messages) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffered.extend_from_slice(piece);
        loop {
            match take(&mut buffered) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}

/// A message of the handshake between two devices: who has not the keys is neither answered nor believed, by either side.
/// True if it is one by its form.
///
/// # Panics
///
/// When a rule is broken.
pub fn handshake(bytes: &[u8]) -> bool {
    let key = DeviceKey::generate(&mut StdRng::seed_from_u64(1));
    let (Ok(session), Ok(tenant)) = ("s1".parse(), "acme".parse()) else { return false };
    let (Ok(mine), Ok(theirs)) = (SessionSecret::generate(), SessionSecret::generate()) else { return false };
    let Ok(media_key) = MediaKey::read(MEDIA_KEY) else { return false };
    let theirs = theirs.session_key(&key, &tenant).public.0;
    let secrets = Secrets { session, mine, theirs, media_key };
    let (peer, now) = (SocketAddr::from(([192, 0, 2, 7], 7)), tokio::time::Instant::now().into_std());
    for side in [Side::Inviter, Side::Callee] {
        let Ok(mut handshake) = Handshake::new(secrets.clone(), side) else { return false };
        handshake.begin(peer, now);
        while handshake.poll_transmit().is_some() {}
        assert!(!handshake.handle_datagram(peer, bytes, now), "{side:?} believes it");
        assert!(handshake.poll_transmit().is_none(), "{side:?} answers it");
        assert!(handshake.established().is_none());
    }
    bytes.first() == Some(&HANDSHAKE) && bytes.len() == 1 + HANDSHAKE_MESSAGE
}

/// A mail: what may be a token has its letters and digits, is named once, and there are no more than have room.
/// True if there are any.
///
/// # Panics
///
/// When a rule is broken.
pub fn mail(bytes: &[u8]) -> bool {
    let [sender, address] = ["no-reply@acme.example", "bob@example.com"].map(str::parse);
    let (Ok(sender), Ok(address)) = (sender, address) else { return false };
    let tokens = tokens(bytes, Expected { sender: &sender, address: &address });
    for (at, token) in tokens.iter().enumerate() {
        assert_eq!(token.len(), TOKEN, "{token}");
        assert!(token.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')), "{token}");
        assert!(!tokens.iter().take(at).any(|before| before == token), "{token} twice");
    }
    assert!(tokens.len() * TOKEN <= bytes.len(), "{} tokens in {} bytes", tokens.len(), bytes.len());
    !tokens.is_empty()
}
