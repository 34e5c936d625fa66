//! Session tickets and aliases: what is fixed about a session travels with its participants (INV-11).
//!
//! A ticket is sealed for one participant: session, generation, its own place, the other side once
//! it is known, the media key. The participant echoes it with each request, so that any node serves
//! it and none needs to have seen the session before. An alias stands for a device in one session:
//! peers name each other by it and never see a push token (INV-2).

use alloc::string::String;
use core::{fmt, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{ApplicationId, DeviceId, SessionId},
    time::Timestamp,
};

use crate::{
    mint,
    relay_choice::Place,
    seal::{KeyRing, Purpose},
};

/// How long a ticket opens; it is renewed on use.
pub const TICKET_LIFE: Duration = Duration::from_hours(24);

/// One participant's proof of its place in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTicket {
    /// The session.
    pub session: SessionId,
    /// Its application.
    pub application: ApplicationId,
    /// Of the session's membership.
    pub generation: u32,
    /// The participant's place.
    pub role: Role,
    /// The participant.
    pub own: Member,
    /// The other side: for the invited the inviter; for the inviter whom it got.
    pub peer: Option<Member>,
    /// Key of connectivity checks and datagrams.
    pub media_key: MediaKey,
    /// Direct attempts that failed.
    pub direct_failures: u8,
    /// What was judged about both sides' networks; none before an accept.
    pub judged: Option<Judged>,
    /// It does not open after this.
    pub expires_at: Timestamp,
}

/// What was judged about the networks of both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The verdict lets each side know the other's addresses.
    pub direct: bool,
    /// It lets the inviter know the invited device's as soon as that one says them; the inviter may say its own.
    pub until_accepted: bool,
    /// Names the pair of their networks, in either order, if both are known.
    pub networks: Option<String>,
    /// Where the inviter was, for the choice of its relay host.
    pub inviter: Place,
    /// Where the invited device was.
    pub invited: Place,
}

/// A participant's place in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Who invited.
    Inviter,
    /// A device of the invited user at this position.
    Invited {
        /// Position among the invited.
        user: u16,
    },
}

/// A device that takes part by one identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which device.
    pub device: DeviceId,
    /// The identifier by which it takes part.
    pub endpoint: EndpointId,
}

/// The session's key for connectivity checks and datagrams; prints masked.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaKey([u8; 32]);

impl MediaKey {
    /// A new one.
    pub fn mint(rng: &mut impl CryptoRng) -> Self {
        Self(mint::bytes(rng))
    }

    /// Of two devices that meet in a session which somebody has left since they were invited: the key of their
    /// invitation is known to whoever left. The same each time that this ticket is shown, for both sides learn it, and
    /// perhaps twice, at nodes that are at different steps of a rotation.
    pub(crate) fn of_generation(
        (keys, ticket): (&KeyRing, &str),
        (session, generation): (&SessionId, u32),
        [inviter, invited]: [&DeviceId; 2],
    ) -> Self {
        let parts: [&[u8]; 4] = [
            session.as_str().as_bytes(),
            &generation.to_be_bytes(),
            inviter.as_str().as_bytes(),
            invited.as_str().as_bytes(),
        ];
        let beside = keys.mac_beside(ticket, "media-key", &parts);
        Self(beside.unwrap_or_else(|| keys.mac("media-key", &parts).1))
    }

    /// Its text form for a participant.
    pub fn reveal(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

impl fmt::Debug for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MediaKey(…)")
    }
}

impl SessionTicket {
    /// Seals it for its participant.
    pub fn seal(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> String {
        keys.seal(Purpose::SessionTicket, self, rng)
    }

    /// Opens the ticket that the device `holder` shows.
    pub fn open(keys: &KeyRing, sealed: &str, holder: &DeviceId, now: Timestamp) -> Result<Self, ErrorCode> {
        let ticket: Self = keys.open(Purpose::SessionTicket, sealed).or(Err(ErrorCode::BadTicket))?;
        if ticket.own.device != *holder {
            return Err(ErrorCode::BadTicket);
        }
        if ticket.expires_at <= now {
            return Err(ErrorCode::TicketExpired);
        }
        Ok(ticket)
    }

    /// The same with a new life.
    #[must_use]
    pub fn renewed(self, now: Timestamp) -> Self {
        Self { expires_at: now.after(TICKET_LIFE), ..self }
    }

    /// The invited user's position; an error for the inviter.
    pub const fn user(&self) -> Result<u16, ErrorCode> {
        match self.role {
            Role::Invited { user } => Ok(user),
            Role::Inviter => Err(ErrorCode::WrongRole),
        }
    }

    /// Where this participant was when both sides were judged, and where the other side was (REL-1).
    pub fn places(&self) -> (Place, Place) {
        let judged = self.judged.clone().unwrap_or_default();
        match self.role {
            Role::Inviter => (judged.inviter, judged.invited),
            Role::Invited { .. } => (judged.invited, judged.inviter),
        }
    }

    /// The invited one of both; an error while there is none.
    pub fn invited(&self) -> Result<&Member, ErrorCode> {
        match self.role {
            Role::Inviter => self.peer(),
            Role::Invited { .. } => Ok(&self.own),
        }
    }

    /// The other side; an error while there is none.
    pub fn peer(&self) -> Result<&Member, ErrorCode> {
        self.peer.as_ref().ok_or(ErrorCode::WrongRole)
    }
}

/// A device as its peers in one session know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// In this session alone.
    pub session: SessionId,
    /// Which device.
    pub device: DeviceId,
}

impl Alias {
    /// Seals it for the peers.
    pub fn seal(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> String {
        keys.seal(Purpose::Alias, self, rng)
    }

    /// Opens the alias that a participant of `session` names.
    pub fn open(keys: &KeyRing, sealed: &str, session: &SessionId) -> Result<Self, ErrorCode> {
        let alias: Self = keys.open(Purpose::Alias, sealed).or(Err(ErrorCode::BadTicket))?;
        if alias.session == *session { Ok(alias) } else { Err(ErrorCode::BadTicket) }
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use switchhook_protocol::id::TenantId;

    use super::*;
    use crate::{
        seal::{RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn keys(secret: u8, previous: &[u8]) -> KeyRing {
        let tenant: TenantId = "acme".parse().unwrap();
        let previous = previous.iter().map(|byte| [*byte; 32]);
        RootKeys::new([secret; 32], previous).ring(Scope::Tenant(&tenant))
    }

    fn ticket() -> SessionTicket {
        SessionTicket {
            expires_at: NOW.after(TICKET_LIFE),
            ..testing::ticket(Role::Invited { user: 0 }, None)
        }
    }

    #[test]
    fn inv_11_a_ticket_opens_for_its_holder_alone_and_for_its_time_alone() {
        let keys = keys(1, &[]);
        let sealed = ticket().seal(&keys, &mut TestRng(1));
        let holder = ticket().own.device;
        assert_eq!(SessionTicket::open(&keys, &sealed, &holder, NOW), Ok(ticket()));
        let thief = "mallory".parse().unwrap();
        assert_eq!(SessionTicket::open(&keys, &sealed, &thief, NOW), Err(ErrorCode::BadTicket));
        let late = NOW.after(TICKET_LIFE);
        assert_eq!(SessionTicket::open(&keys, &sealed, &holder, late), Err(ErrorCode::TicketExpired));
    }

    #[test]
    fn inv_11_a_ticket_of_the_previous_key_opens_after_a_rotation() {
        let sealed = ticket().seal(&keys(1, &[]), &mut TestRng(1));
        let opened = SessionTicket::open(&keys(2, &[1]), &sealed, &ticket().own.device, NOW);
        assert_eq!(opened, Ok(ticket()));
    }

    #[test]
    fn inv_11_an_alias_means_nothing_in_another_session() {
        let keys = keys(1, &[]);
        let alias = Alias { session: "s".parse().unwrap(), device: "bob-phone".parse().unwrap() };
        let sealed = alias.seal(&keys, &mut TestRng(1));
        assert_eq!(Alias::open(&keys, &sealed, &alias.session), Ok(alias));
        assert_eq!(Alias::open(&keys, &sealed, &"t".parse().unwrap()), Err(ErrorCode::BadTicket));
    }
}
