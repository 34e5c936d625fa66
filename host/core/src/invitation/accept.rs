//! Accept: the first commit takes the user's invitation, and both sides learn how to connect (INV-4 to INV-6).

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use rand_core::CryptoRng;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    event::Event,
    exchange::Exchange,
    invitation::{Accept, Accepted, StopReason, TakeMode},
    peer::{Path, Peer, SessionKey},
    relay::RelayCredentials,
    time::{Timestamp, millis},
};

use super::{NEWS_LIFE, message, set_invitation, set_leg, stop};
use crate::{
    guessing,
    network::{InviterSide, NetworkFacts},
    policy::nat,
    row::{Device, Invitation, InvitationState, Leg, LegState, Participant, Session, Write},
    seal::KeyRing,
    ticket::{Alias, Judged, MediaKey, Member, Role, SessionTicket, TICKET_LIFE},
};

/// What an accept is decided from.
#[derive(Debug, Clone, Copy)]
pub struct Accepting<'a> {
    /// The tenant's keys.
    pub keys: &'a KeyRing,
    /// The accepting device's ticket, opened.
    pub ticket: &'a SessionTicket,
    /// What it says.
    pub request: &'a Accept,
    /// The accepting device.
    pub device: &'a Device,
    /// The inviter's device.
    pub inviter: &'a Device,
    /// The inviter's side, opened.
    pub inviter_side: &'a InviterSide,
    /// How the two connect.
    pub paths: &'a Paths,
    /// The session's row.
    pub session: &'a Session,
    /// Who takes part already.
    pub participants: &'a [Participant],
    /// When.
    pub now: Timestamp,
}

/// How each side reaches the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// For the inviter.
    pub inviter: Path,
    /// For the invited device.
    pub invited: Path,
    /// What it follows from.
    pub judged: Judged,
}

/// The relay credentials of both sides (REL-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayPair {
    /// For the inviter.
    pub inviter: RelayCredentials,
    /// For the invited device.
    pub invited: RelayCredentials,
}

/// What an accept leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Invitation, legs, stops and the inviter's message: one transaction.
    pub writes: Vec<Write>,
    /// For the accepting device.
    pub accepted: Accepted,
}

impl Paths {
    /// Directly, each at the other's candidates (INV-5), with a way to tell each other more (NAT-2).
    pub fn direct(
        (inviter, invited): (&NetworkFacts, &NetworkFacts),
        exchanges: Option<[Exchange; 2]>,
        (patience, guessing): (Option<Duration>, nat::Guessing),
        networks: Option<String>,
    ) -> Self {
        let patience_ms = patience.map(|patience| u32::try_from(millis(patience)).unwrap_or(u32::MAX));
        let [inviter_guesses, invited_guesses] = guessing::parts(guessing, [inviter, invited]);
        let [for_inviter, for_invited] = exchanges.map_or([None, None], |both| both.map(Some));
        let to =
            |candidates, exchange, guessing| Path::Direct { candidates, patience_ms, exchange, guessing };
        Self {
            inviter: to(invited.candidates(), for_inviter, inviter_guesses),
            invited: to(inviter.candidates(), for_invited, invited_guesses),
            judged: Judged { direct: true, ..judged((inviter, invited), networks) },
        }
    }

    /// Through the relay, each with credentials of its own (REL-2); for good, or until the invited device shows where
    /// it is.
    pub fn relay(
        sides: (&NetworkFacts, &NetworkFacts),
        pair: RelayPair,
        until_accepted: bool,
        networks: Option<String>,
    ) -> Self {
        Self {
            inviter: Path::Relay { relay: pair.inviter, until_accepted },
            invited: Path::Relay { relay: pair.invited, until_accepted },
            judged: Judged { until_accepted, ..judged(sides, networks) },
        }
    }
}

/// What both verdicts have to say of both sides.
fn judged((inviter, invited): (&NetworkFacts, &NetworkFacts), networks: Option<String>) -> Judged {
    Judged { networks, inviter: inviter.place(), invited: invited.place(), ..Judged::default() }
}

/// Decides an accept over the user's rows, as the transaction reads them.
///
/// A repeat by the device that was taken is answered like the first time: its answer may have been
/// lost. With `retry` it comes after a failed direct attempt and rings nobody (NAT-4).
pub fn accept(
    facts: Accepting<'_>,
    invitation: &Invitation,
    legs: &[Leg],
    rng: &mut impl CryptoRng,
) -> Result<Taken, ErrorCode> {
    let own = &facts.device.id;
    let leg = legs.iter().find(|leg| leg.device == *own).ok_or(ErrorCode::BadTicket)?;
    let standing = facts.standing(invitation, leg)?;
    let mut writes = Vec::new();
    match (standing, facts.session.take) {
        (Standing::Again, _) => {}
        (Standing::Rings, TakeMode::Choose) => writes.push(set_leg(leg, LegState::Offered, facts.now)),
        (Standing::Rings, TakeMode::First) => {
            let taken = InvitationState::Taken;
            writes.push(set_invitation(&invitation.session, invitation.user, taken, Some(own.clone())));
            writes.push(set_leg(leg, LegState::Taken, facts.now));
            let others = legs.iter().filter(|leg| leg.device != *own);
            writes.extend(stop(others, StopReason::AnsweredElsewhere, facts.now, rng));
            writes.extend(joins(
                facts.session,
                facts.inviter,
                (facts.device, &facts.ticket.own),
                invitation.user,
                facts.now,
            ));
        }
    }
    let event = Event::Accept(facts.for_inviter(rng));
    let expires_at = facts.now.after(NEWS_LIFE);
    writes.push(message(&facts.inviter.id, &event, (Some(facts.collapse_key()), expires_at), rng));
    Ok(Taken { writes, accepted: facts.for_invited(rng) })
}

/// Where an accepting device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It rings: this is its answer.
    Rings,
    /// It has answered before: its answer may have been lost, or a direct attempt failed.
    Again,
}

/// The inviter takes part from the first device on that is taken.
pub(crate) fn joins(
    session: &Session,
    inviter: &Device,
    (device, member): (&Device, &Member),
    user: u16,
    now: Timestamp,
) -> [Write; 2] {
    let join = |device: &Device, endpoint: &EndpointId, user| {
        Write::Join(Participant {
            session: session.id.clone(),
            device: device.id.clone(),
            endpoint: endpoint.clone(),
            kind: device.kind.clone(),
            user,
            joined_at: now,
            seen_at: now,
        })
    };
    [join(inviter, &session.inviter_endpoint, None), join(device, &member.endpoint, Some(user))]
}

impl Accepting<'_> {
    fn standing(&self, invitation: &Invitation, leg: &Leg) -> Result<Standing, ErrorCode> {
        if self.participants.iter().any(|participant| participant.device == self.device.id) {
            return Ok(Standing::Again);
        }
        let rings = self.now < leg.lease_until;
        match (invitation.state, leg.state) {
            (InvitationState::Ringing, LegState::Queued | LegState::Pushed | LegState::Rang) if rings => {
                Ok(Standing::Rings)
            }
            (InvitationState::Ringing, LegState::Offered) => Ok(Standing::Again),
            (InvitationState::Taken, LegState::Taken) => Err(ErrorCode::NotRunning),
            (InvitationState::Taken, _) => Err(ErrorCode::AnsweredElsewhere),
            (
                InvitationState::Ringing
                | InvitationState::Declined
                | InvitationState::Cancelled
                | InvitationState::NoAnswer,
                _,
            ) => Err(ErrorCode::NoLongerRinging),
        }
    }

    /// Whether the inviter still has to take this device.
    fn awaits_take(&self) -> bool {
        let taken = self.participants.iter().any(|participant| participant.device == self.device.id);
        self.session.take == TakeMode::Choose && !taken
    }

    fn for_inviter(&self, rng: &mut impl CryptoRng) -> Accepted {
        let ticket = SessionTicket {
            role: Role::Inviter,
            own: self.inviter_member(),
            peer: Some(self.ticket.own.clone()),
            ..self.renewed()
        };
        let key = &self.request.session_key;
        self.accepted(&ticket, (self.device, &self.ticket.own, key), &self.paths.inviter, rng)
    }

    fn for_invited(&self, rng: &mut impl CryptoRng) -> Accepted {
        let inviter = self.inviter_member();
        let key = &self.inviter_side.session_key;
        self.accepted(&self.renewed(), (self.inviter, &inviter, key), &self.paths.invited, rng)
    }

    fn accepted(
        &self,
        ticket: &SessionTicket,
        (device, member, session_key): (&Device, &Member, &SessionKey),
        path: &Path,
        rng: &mut impl CryptoRng,
    ) -> Accepted {
        let alias = Alias { session: ticket.session.clone(), device: device.id.clone() };
        Accepted {
            session: ticket.session.clone(),
            ticket: ticket.seal(self.keys, rng),
            peer: Peer {
                alias: alias.seal(self.keys, rng),
                endpoint: member.endpoint.clone(),
                device_key: device.key.clone(),
                session_key: session_key.clone(),
            },
            path: path.clone(),
            media_key: ticket.media_key.reveal(),
            retry: self.request.retry,
            awaits_take: self.awaits_take(),
        }
    }

    fn renewed(&self) -> SessionTicket {
        let failed = u8::from(self.request.retry);
        SessionTicket {
            generation: self.session.generation,
            media_key: self.media_key(),
            direct_failures: self.ticket.direct_failures.saturating_add(failed),
            judged: Some(self.paths.judged.clone()),
            expires_at: self.now.after(TICKET_LIFE),
            ..self.ticket.clone()
        }
    }

    /// That of the invitation, unless somebody has left since, who knows it (INV-11).
    fn media_key(&self) -> MediaKey {
        let generation = self.session.generation;
        if generation == self.ticket.generation {
            return self.ticket.media_key;
        }
        let sides = [&self.inviter.id, &self.device.id];
        MediaKey::of_generation((self.keys, &self.request.ticket), (&self.session.id, generation), sides)
    }

    fn inviter_member(&self) -> Member {
        self.ticket.peer.clone().unwrap_or_else(|| self.ticket.own.clone())
    }

    /// A repeated accept takes the place of one that the inviter has not seen; a retry does not.
    fn collapse_key(&self) -> String {
        let session = &self.ticket.session;
        format!("accept/{session}/{}/{}", self.device.id, u8::from(self.request.retry))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use switchhook_protocol::id::DeviceId;

    use super::*;
    use crate::{
        invitation::testing::{
            NOW, PHONE, RungCall, TABLET, alice, appended, course, network, reachable, ring_all, ringing,
        },
        session::FIRST,
        testing::TestRng,
    };

    fn take(ringing: &RungCall, device: &str) -> Result<Taken, ErrorCode> {
        take_at(ringing, device, false, NOW)
    }

    fn take_at(ringing: &RungCall, device: &str, retry: bool, now: Timestamp) -> Result<Taken, ErrorCode> {
        let (ticket, request, side) = ringing.accepting(device, retry);
        let paths = Paths::direct((&network(), &network()), None, (None, nat::Guessing::default()), None);
        let facts = Accepting {
            keys: &ringing.keys,
            ticket: &ticket,
            request: &request,
            device: &ringing.device(device),
            inviter: &alice(),
            inviter_side: &side,
            paths: &paths,
            session: &ringing.session,
            participants: &ringing.participants,
            now,
        };
        accept(facts, &ringing.invitation, &ringing.legs, &mut TestRng(9))
    }

    /// INV-6.first-accept
    #[test]
    fn inv_6_the_first_accept_is_taken_and_the_users_other_devices_are_stopped() {
        let ringing = ringing(&[PHONE, TABLET]);
        let Taken { writes, accepted } = take(&ringing, PHONE).unwrap();
        let phone: DeviceId = PHONE.parse().unwrap();
        assert_eq!(
            writes[0],
            set_invitation(&ringing.invitation.session, 0, InvitationState::Taken, Some(phone))
        );
        assert_eq!(writes[1], set_leg(&ringing.legs[0], LegState::Taken, NOW));
        assert_eq!(writes[2], set_leg(&ringing.legs[1], LegState::Stopped, NOW));
        let sent = appended(&writes);
        assert!(matches!(&sent[0], (to, Event::Cancel(cancel))
            if to.as_str() == TABLET && cancel.reason == StopReason::AnsweredElsewhere));
        assert!(matches!(&sent[1], (to, Event::Accept(_)) if *to == alice().id));
        assert_eq!(accepted.peer.endpoint, ringing.inviter_endpoint());
    }

    /// INV-6.first-accept
    #[test]
    fn inv_6_the_second_accept_is_told_that_another_device_answered() {
        let mut ringing = ringing(&[PHONE, TABLET]);
        let taken = take(&ringing, PHONE).unwrap();
        ringing.apply(&taken.writes);
        assert_eq!(take(&ringing, TABLET), Err(ErrorCode::AnsweredElsewhere));
    }

    #[test]
    fn inv_11_who_left_since_the_invite_does_not_know_the_key_of_who_accepts() {
        let mut ringing = ringing(&[PHONE]);
        let keys_of = |ringing: &RungCall| {
            let Taken { writes, accepted } = take(ringing, PHONE).unwrap();
            let sent = appended(&writes);
            let Some((_, Event::Accept(pushed))) = sent.last() else { panic!("{sent:?}") };
            assert_eq!(pushed.media_key, accepted.media_key, "both sides have the same");
            accepted.media_key
        };
        let invited = keys_of(&ringing);
        assert_eq!(invited, ringing.accepting(PHONE, false).0.media_key.reveal());

        ringing.session.generation += 1;
        let after_one_left = keys_of(&ringing);
        assert_ne!(after_one_left, invited);
        assert_eq!(keys_of(&ringing), after_one_left, "who says it again gets the same answer");
        ringing.session.generation += 1;
        assert_ne!(keys_of(&ringing), after_one_left);
    }

    #[test]
    fn inv_11_who_is_rung_only_after_somebody_left_gets_no_key_that_they_know() {
        let mut ringing = ringing(&[PHONE]);
        let known = ringing.accepting(PHONE, false).0.media_key.reveal();
        ringing.session.generation += 1;

        let writes = ringing.go_on(&course(vec![reachable(PHONE), reachable(TABLET)]), &ring_all(2), NOW);
        ringing.apply(&writes);

        let ticket = ringing.accepting(TABLET, false).0;
        assert_eq!((ticket.generation, ticket.media_key.reveal()), (FIRST, known.clone()));
        let Taken { writes, accepted } = take(&ringing, TABLET).unwrap();
        assert_ne!(accepted.media_key, known);
        let sent = appended(&writes);
        assert!(
            matches!(sent.last(), Some((_, Event::Accept(told))) if told.media_key == accepted.media_key)
        );
    }

    #[test]
    fn inv_5_both_sides_get_each_others_candidates_and_the_same_media_key() {
        let ringing = ringing(&[PHONE]);
        let Taken { writes, accepted } = take(&ringing, PHONE).unwrap();
        let sent = appended(&writes);
        let Some((_, Event::Accept(pushed))) = sent.last() else { panic!("the inviter is told") };
        assert_eq!(pushed.media_key, accepted.media_key);
        assert_eq!(
            pushed.path,
            Path::Direct {
                candidates: network().candidates(),
                patience_ms: None,
                exchange: None,
                guessing: switchhook_protocol::peer::Guessing::default()
            }
        );
        assert_ne!(pushed.ticket, accepted.ticket);
        let ticket = SessionTicket::open(&ringing.keys, &pushed.ticket, &alice().id, NOW).unwrap();
        assert_eq!(ticket.role, Role::Inviter);
        assert_eq!(ticket.peer.unwrap().device.as_str(), PHONE);
    }

    #[test]
    fn nat_4_a_retry_by_the_taken_device_rings_nobody_and_counts_the_failure() {
        let mut ringing = ringing(&[PHONE, TABLET]);
        let taken = take(&ringing, PHONE).unwrap();
        ringing.apply(&taken.writes);
        let Taken { writes, accepted } = take_at(&ringing, PHONE, true, NOW).unwrap();
        let sent = appended(&writes);
        assert_eq!(sent.len(), 1, "only the inviter hears of it");
        let ticket = SessionTicket::open(&ringing.keys, &accepted.ticket, &PHONE.parse().unwrap(), NOW);
        assert_eq!(ticket.unwrap().direct_failures, 1);
    }

    #[test]
    fn inv_11_an_accept_starts_the_session_and_a_repeat_starts_none_that_is_over() {
        let mut ringing = ringing(&[PHONE, TABLET]);
        let taken = take(&ringing, PHONE).unwrap();
        ringing.apply(&taken.writes);
        let joined: Vec<_> = ringing.participants.iter().map(|it| (it.device.as_str(), it.user)).collect();
        assert_eq!(joined, [(alice().id.as_str(), None), (PHONE, Some(0))]);
        assert!(take(&ringing, PHONE).is_ok());
        ringing.participants.clear();
        assert_eq!(take_at(&ringing, PHONE, true, NOW), Err(ErrorCode::NotRunning));
    }

    /// INV-6.choose
    #[test]
    fn inv_6_where_the_inviter_chooses_an_accept_is_told_and_takes_nobody() {
        let mut ringing = ringing(&[PHONE, TABLET]);
        ringing.session.take = TakeMode::Choose;
        for device in [PHONE, TABLET] {
            let taken = take(&ringing, device).unwrap();
            ringing.apply(&taken.writes);
            assert!(taken.accepted.awaits_take);
            assert!(matches!(&appended(&taken.writes)[..], [(to, Event::Accept(accepted))]
                if *to == alice().id && accepted.awaits_take));
        }
        assert!(ringing.legs.iter().all(|leg| leg.state == LegState::Offered));
        assert_eq!((ringing.invitation.state, ringing.participants.len()), (InvitationState::Ringing, 0));
        assert!(take(&ringing, PHONE).is_ok(), "a repeat is answered again");
    }

    #[test]
    fn inv_4_an_accept_after_the_rings_lease_is_too_late() {
        let ringing = ringing(&[PHONE]);
        let late = ringing.legs[0].lease_until;
        assert_eq!(take_at(&ringing, PHONE, false, late), Err(ErrorCode::NoLongerRinging));
    }
}
