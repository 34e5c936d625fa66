//! Judges TURN requests before the crate sees them.
//!
//! A request is judged in the order of RFC 8489 §9.2.4 and RFC 8656: credentials (401, 400, 438),
//! attributes (420), whose allocation it is about (437, 441), then what it asks for (403, 440, 486,
//! 508). One that passes is signed anew under the same key, so that its answer is signed for the
//! client: with the crate's nonce, with a lifetime that ends with the token, and with nothing that
//! the client did not sign. What the shape of a request alone decides (442, 443) is left to the crate.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use switchhook_core::{
    relay_token::{self, RelayToken},
    seal::KeyRing,
    stun::{Algorithm, Key, Message, Writer, attribute as stun_attribute},
};
use switchhook_protocol::time::Timestamp;

use crate::{
    Clock, RelayConfig, challenge,
    clients::{Client, Transport},
    metrics::Metrics,
    refusal::Refusal,
    relayed::PeerFilter,
    request::{all_peers, covered, is_passed_on, lifetime, names_a_channel_if_it_must, peer_ip},
    table::{Claim, NotHeld, Participant, Place, Table},
    wire::{attribute, is_channel_data, message_type, must_refuse},
};

/// What becomes of a datagram from a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The crate gets it as it is.
    Forward,
    /// The crate gets these in its place.
    ForwardAs(Vec<Vec<u8>>),
    /// The client gets this.
    Answer(Vec<u8>),
    /// Nobody gets anything.
    Drop,
}

pub(crate) struct Gate {
    /// How the clients come whom it judges.
    pub(crate) transport: Transport,
    pub(crate) config: RelayConfig,
    pub(crate) keys: KeyRing,
    pub(crate) clock: Clock,
    pub(crate) table: Arc<Table>,
    pub(crate) filter: PeerFilter,
    pub(crate) metrics: Metrics,
}

/// A client whose credentials count.
struct Visitor<'a> {
    username: &'a str,
    participant: Participant,
    expires_at: Timestamp,
    key: Key,
}

/// What a request that passes leads to.
enum Passed<'a> {
    /// The crate answers it.
    Whole,
    /// The crate reads one peer of a request, so it gets a request for each.
    PerPeer(Vec<&'a [u8]>),
    /// It was answered before.
    Repeated(Vec<u8>),
}

impl Gate {
    /// Judges a datagram; `nonce` is one that the crate takes.
    pub(crate) fn judge(&self, datagram: &[u8], client: SocketAddr, nonce: &str) -> Judgement {
        if datagram.first().is_some_and(|first| is_channel_data(*first)) {
            return Judgement::Forward;
        }
        let Ok(message) = Message::parse(datagram) else { return Judgement::Drop };
        match message.message_type() {
            message_type::SEND | message_type::BINDING => Judgement::Forward,
            message_type::ALLOCATE
            | message_type::REFRESH
            | message_type::CREATE_PERMISSION
            | message_type::CHANNEL_BIND => self.judge_request(&message, client, nonce),
            _ => Judgement::Drop,
        }
    }

    /// The request by which a client that has left gives up what it held; nothing if it held nothing.
    pub(crate) fn farewell(&self, client: SocketAddr, nonce: &str) -> Option<Vec<u8>> {
        let username = self.table.username_of(self.client(client))?;
        let password = relay_token::password_of(&self.keys, &username)?;
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, message_type::REFRESH, [0; 12]);
        writer.attribute(attribute::LIFETIME, &0_u32.to_be_bytes());
        let key = Key::long_term_md5(&username, &self.config.realm, &password);
        self.sign(&mut writer, &username, nonce, &key);
        Some(out)
    }

    const fn client(&self, addr: SocketAddr) -> Client {
        Client { transport: self.transport, addr }
    }

    fn judge_request(&self, request: &Message<'_>, client: SocketAddr, nonce: &str) -> Judgement {
        let now = (self.clock)();
        let visitor = match self.authenticate(request, client, now) {
            Ok(visitor) => visitor,
            Err(refusal) => return Judgement::Answer(self.refuse(request, client, refusal, None)),
        };
        let forward = |peer| self.sign_anew(request, &visitor, nonce, peer, now);
        match self.permit(request, self.client(client), &visitor) {
            Ok(Passed::Whole) => Judgement::ForwardAs(vec![forward(None)]),
            Ok(Passed::PerPeer(peers)) => {
                Judgement::ForwardAs(peers.into_iter().map(|peer| forward(Some(peer))).collect())
            }
            Ok(Passed::Repeated(answer)) => Judgement::Answer(answer),
            Err(refusal) => Judgement::Answer(self.refuse(request, client, refusal, Some(&visitor.key))),
        }
    }

    /// RFC 8489 §9.2.4. To a stranger all wrong credentials are alike.
    fn authenticate<'a>(
        &self,
        request: &Message<'a>,
        client: SocketAddr,
        now: Timestamp,
    ) -> Result<Visitor<'a>, Refusal> {
        if request.attribute(stun_attribute::MESSAGE_INTEGRITY).is_none() {
            return Err(Refusal::Unauthorized);
        }
        let username = covered(request, stun_attribute::USERNAME).ok_or(Refusal::BadRequest)?;
        let realm = covered(request, stun_attribute::REALM).ok_or(Refusal::BadRequest)?;
        let nonce = covered(request, stun_attribute::NONCE).ok_or(Refusal::BadRequest)?;
        if !challenge::is_fresh(&self.keys, nonce, client, now) {
            return Err(Refusal::StaleNonce);
        }
        let username = str::from_utf8(username).or(Err(Refusal::Unauthorized))?;
        let token = RelayToken::check(&self.keys, &self.config.host, username, now).map_err(|reason| {
            tracing::debug!(%reason, "relay token refused");
            Refusal::Unauthorized
        })?;
        let password = relay_token::password_of(&self.keys, username).ok_or(Refusal::Unauthorized)?;
        let key = Key::long_term_md5(username, &self.config.realm, &password);
        if realm != self.config.realm.as_bytes() || !request.is_authentic(&key) {
            return Err(Refusal::Unauthorized);
        }
        let expires_at = token.expires_at;
        Ok(Visitor { username, participant: token.into(), expires_at, key })
    }

    fn permit<'a>(
        &self,
        request: &Message<'a>,
        client: Client,
        visitor: &Visitor<'_>,
    ) -> Result<Passed<'a>, Refusal> {
        if request.covered_attributes().any(|(kind, _)| must_refuse(kind)) {
            return Err(Refusal::UnknownAttribute);
        }
        if request.message_type() == message_type::ALLOCATE {
            return self.permit_allocation(request, client, visitor);
        }
        self.check_held(client, visitor, &[])?;
        if request.message_type() == message_type::REFRESH {
            return Ok(Passed::Whole);
        }
        let peers = all_peers(request);
        let addrs: Vec<IpAddr> = peers.iter().filter_map(|peer| peer_ip(request, peer)).collect();
        if addrs.is_empty() || addrs.len() != peers.len() || !names_a_channel_if_it_must(request) {
            return Err(Refusal::BadRequest);
        }
        if addrs.iter().any(|peer| !self.filter.may_permit(*peer)) {
            return Err(Refusal::Forbidden);
        }
        self.check_held(client, visitor, &addrs)?;
        Ok(Passed::PerPeer(peers))
    }

    fn permit_allocation<'a>(
        &self,
        request: &Message<'a>,
        client: Client,
        visitor: &Visitor<'_>,
    ) -> Result<Passed<'a>, Refusal> {
        let even_port = covered(request, attribute::EVEN_PORT);
        // A second port beside the first served RTCP; nobody multiplexes that way any more.
        let pair = even_port.is_some_and(|value| value.first().is_none_or(|flags| flags & 0x80 != 0));
        if pair || covered(request, attribute::RESERVATION_TOKEN).is_some() {
            return Err(Refusal::InsufficientCapacity);
        }
        let family = if self.config.ip.is_ipv4() { 1 } else { 2 };
        if covered(request, attribute::REQUESTED_ADDRESS_FAMILY)
            .is_some_and(|asked| asked.first() != Some(&family))
        {
            return Err(Refusal::AddressFamily);
        }
        let claim = Claim {
            client,
            participant: visitor.participant.clone(),
            username: visitor.username.to_owned(),
            transaction: request.transaction(),
            even_port: even_port.is_some(),
        };
        match self.table.place(&claim, self.config.allocations_per_participant, self.config.max_allocations) {
            Place::Free => {
                self.table.claim(claim);
                Ok(Passed::Whole)
            }
            Place::Repeated(answer) => Ok(Passed::Repeated(answer)),
            Place::Taken => Err(Refusal::AllocationMismatch),
            Place::Quota => Err(Refusal::QuotaReached),
            Place::Full => Err(Refusal::InsufficientCapacity),
        }
    }

    fn check_held(&self, client: Client, visitor: &Visitor<'_>, peers: &[IpAddr]) -> Result<(), Refusal> {
        let held = self.table.check(client, &visitor.participant, peers.iter().copied());
        held.map_err(|reason| match reason {
            NotHeld::NoAllocation => Refusal::AllocationMismatch,
            NotHeld::AnotherParticipant => Refusal::WrongCredentials,
            NotHeld::TooManyPeers => Refusal::InsufficientCapacity,
        })
    }

    /// The request as the crate gets it: what the client signed, with our realm, nonce and lifetime.
    fn sign_anew(
        &self,
        request: &Message<'_>,
        visitor: &Visitor<'_>,
        nonce: &str,
        peer: Option<&[u8]>,
        now: Timestamp,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, request.message_type(), request.transaction());
        for (kind, value) in request.covered_attributes().filter(|(kind, _)| is_passed_on(*kind)) {
            writer.attribute(kind, value);
        }
        if let Some(peer) = peer {
            writer.attribute(attribute::XOR_PEER_ADDRESS, peer);
        }
        if matches!(request.message_type(), message_type::ALLOCATE | message_type::REFRESH) {
            let lifetime = lifetime(request, now, visitor.expires_at);
            writer.attribute(attribute::LIFETIME, &lifetime.to_be_bytes());
        }
        self.sign(&mut writer, visitor.username, nonce, &visitor.key);
        out
    }

    fn sign(&self, writer: &mut Writer<'_>, username: &str, nonce: &str, key: &Key) {
        writer.attribute(stun_attribute::USERNAME, username.as_bytes());
        writer.attribute(stun_attribute::REALM, self.config.realm.as_bytes());
        writer.attribute(stun_attribute::NONCE, nonce.as_bytes());
        writer.sign(key, Algorithm::Sha1);
    }

    fn refuse(
        &self,
        request: &Message<'_>,
        client: SocketAddr,
        refusal: Refusal,
        key: Option<&Key>,
    ) -> Vec<u8> {
        // Every client begins without credentials, to learn realm and nonce: that is no refusal.
        if request.attribute(stun_attribute::MESSAGE_INTEGRITY).is_some() {
            self.metrics.refused(refusal);
        }
        let mut out = Vec::new();
        let kind = request.message_type() | message_type::ERROR;
        let mut writer = Writer::new(&mut out, kind, request.transaction());
        writer.error_code(refusal.code());
        if refusal == Refusal::UnknownAttribute {
            let unknown =
                request.covered_attributes().map(|(kind, _)| kind).filter(|kind| must_refuse(*kind));
            let unknown: Vec<u8> = unknown.flat_map(u16::to_be_bytes).collect();
            writer.attribute(stun_attribute::UNKNOWN_ATTRIBUTES, &unknown);
        }
        if refusal.is_challenge() {
            let nonce = challenge::nonce(&self.keys, client, (self.clock)());
            writer.attribute(stun_attribute::NONCE, nonce.as_bytes());
            writer.attribute(stun_attribute::REALM, self.config.realm.as_bytes());
        }
        if let Some(key) = key {
            writer.sign(key, Algorithm::Sha1);
        }
        out
    }
}
