//! Sealing and opening a two-party session ticket, beside the bare cipher on the same bytes.

use std::hint::black_box;

use anyhow::Context as _;
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use switchhook_core::{
    seal::{KeyRing, Purpose, RootKeys, Scope},
    ticket::{MediaKey, Member, Role, SessionTicket, TICKET_LIFE},
};
use switchhook_protocol::time::Timestamp;

use crate::{
    Options,
    clock::{micros, now},
    report::{Bound, Report},
    series::Series,
};

/// Tickets a round.
const TICKETS: u32 = 100_000;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut rng = StdRng::seed_from_u64(7);
    let keys = RootKeys::new([7; 32], []).ring(Scope::Tenant(&"acme".parse()?));
    let ticket = ticket(&mut rng)?;
    let plain = plain(&keys, &ticket, &mut rng)?;
    let (mut ours, mut bare) = (Series::default(), Series::default());
    for _ in 0..options.rounds {
        ours.push(seal_and_open(&keys, &ticket, &mut rng)?);
        bare.push(encrypt_and_decrypt(&plain, &mut rng)?);
    }
    let mut report = Report::new("seal and open a session ticket");
    report.figure(format!("ticket of two parties, {} bytes", plain.len()), "µs", &ours);
    report.figure("bare XChaCha20-Poly1305 on the same bytes", "µs", &bare);
    report.target("ticket over bare cipher", &ours.over(&bare), Bound::AtMost(2.0));
    Ok(report)
}

fn seal_and_open(keys: &KeyRing, ticket: &SessionTicket, rng: &mut StdRng) -> anyhow::Result<f64> {
    let started = now();
    for _ in 0..TICKETS {
        let sealed = black_box(ticket).seal(keys, rng);
        let opened = SessionTicket::open(keys, black_box(&sealed), &ticket.own.device, NOW);
        black_box(opened).ok().context("a ticket opens")?;
    }
    Ok(micros(started.elapsed()) / f64::from(TICKETS))
}

fn encrypt_and_decrypt(plain: &[u8], rng: &mut StdRng) -> anyhow::Result<f64> {
    let cipher = XChaCha20Poly1305::new(&[7; 32].into());
    let started = now();
    for _ in 0..TICKETS {
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        let nonce = XNonce::from(nonce);
        let payload = Payload { msg: black_box(plain), aad: b"session-ticket" };
        let sealed = cipher.encrypt(&nonce, payload).ok().context("it encrypts")?;
        let payload = Payload { msg: black_box(&sealed), aad: b"session-ticket" };
        black_box(cipher.decrypt(&nonce, payload)).ok().context("it decrypts")?;
    }
    Ok(micros(started.elapsed()) / f64::from(TICKETS))
}

/// What is encrypted of a ticket.
fn plain(keys: &KeyRing, ticket: &SessionTicket, rng: &mut StdRng) -> anyhow::Result<Vec<u8>> {
    let sealed = data_encoding::BASE64URL_NOPAD.decode(ticket.seal(keys, rng).as_bytes())?;
    Ok(keys.open_bytes(Purpose::SessionTicket, &sealed)?)
}

fn ticket(rng: &mut StdRng) -> anyhow::Result<SessionTicket> {
    let member = |device: &str, endpoint: &str| {
        anyhow::Ok(Member { device: device.parse()?, endpoint: endpoint.parse()? })
    };
    Ok(SessionTicket {
        session: switchhook_core::mint::session(rng),
        application: "phone".parse()?,
        generation: 1,
        role: Role::Invited { user: 0 },
        own: member(switchhook_core::mint::device(rng).as_str(), "+15550101")?,
        peer: Some(member(switchhook_core::mint::device(rng).as_str(), "+15550100")?),
        media_key: MediaKey::mint(rng),
        direct_failures: 0,
        judged: None,
        expires_at: NOW.after(TICKET_LIFE),
    })
}
