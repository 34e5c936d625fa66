//! Sessions that run: who takes part, what is told to whom, how one ends (INV-7, INV-8, INV-11, INV-18).
//!
//! From the first accept on a session has *participants*, a row each: the inviter's device and each
//! device that was taken. It runs while it has them. The inviter is its host: the session goes on
//! while the inviter and at least one other take part, and is over when either is not so.
//!
//! **Generations.** Whoever leaves while others go on changes the membership: the session's
//! generation rises, and those who stay get new tickets with a new media key. A ticket of an earlier
//! generation opens nothing, so that who has left can neither act nor listen.
//!
//! **Leases.** Nodes mark the participants whose devices they hold as seen. One that nobody has seen
//! for the operator's time is taken out as if it had left, with the word [`LOST`].
//!
//! What happens is told to the other participants and to the other devices of everybody's
//! identifiers, looked up anew each time (INV-8, INV-18).

pub mod ask;

use alloc::{collections::BTreeSet, string::String, vec, vec::Vec};

use rand_core::CryptoRng;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    event::Event,
    id::DeviceId,
    session::{Answered, Change, MAX_UPDATE, Renewed, SessionChanged},
    time::{Timestamp, millis},
};

use crate::{
    invitation::{NEWS_LIFE, answer, message},
    row::{Invitation, InvitationState, Leg, Participant, Session, Target, Write},
    seal::KeyRing,
    ticket::{MediaKey, Member, Role, SessionTicket, TICKET_LIFE},
};

/// The generation that a session begins with.
pub const FIRST: u32 = 1;

/// The word for a participant whose device vanished.
pub const LOST: &str = "lost";

/// Longest reason of an end or a decline, in bytes.
pub const MAX_REASON: usize = 64;

/// Most devices that one change is told to: 16 invited and the inviter, some devices each.
pub const MAX_TOLD: usize = 64;

/// A running session, as a transaction reads it.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    /// Its row.
    pub session: &'a Session,
    /// Who takes part.
    pub participants: &'a [Participant],
    /// The devices of everybody's identifiers, as registered now.
    pub devices: &'a [Target],
    /// When.
    pub now: Timestamp,
}

/// What still rings of a session.
#[derive(Debug, Clone, Copy)]
pub struct StillRinging<'a> {
    /// One an invited user.
    pub invitations: &'a [Invitation],
    /// One a rung device.
    pub legs: &'a [Leg],
}

/// The identifiers that [`Running::devices`] are looked up by.
pub fn identifiers(participants: &[Participant]) -> Vec<EndpointId> {
    let all: BTreeSet<&EndpointId> = participants.iter().map(|participant| &participant.endpoint).collect();
    all.into_iter().cloned().collect()
}

/// Refuses a reason that is out of bounds.
pub fn check_reason(reason: &str) -> Result<(), ErrorCode> {
    if (1..=MAX_REASON).contains(&reason.len()) { Ok(()) } else { Err(ErrorCode::TooLarge) }
}

impl<'a> Running<'a> {
    /// The participant that a ticket stands for, if the ticket is of this generation.
    pub fn participant(self, ticket: &SessionTicket) -> Result<&'a Participant, ErrorCode> {
        if self.participants.is_empty() {
            return Err(ErrorCode::NotRunning);
        }
        let own = self.of(&ticket.own.device).ok_or(ErrorCode::WrongRole)?;
        if ticket.generation == self.session.generation { Ok(own) } else { Err(ErrorCode::OldTicket) }
    }

    /// A ticket of this generation for a participant that has lost its own. The media key is not kept, so that in it leads
    /// nowhere.
    pub fn ticket_of(self, device: &DeviceId, rng: &mut impl CryptoRng) -> Option<SessionTicket> {
        let own = self.of(device)?;
        let peer = self.participants.iter().find(|other| other.user.is_none() != own.user.is_none())?;
        Some(self.ticket((own, peer), (self.session.generation, MediaKey::mint(rng))))
    }

    /// The user's other devices are shown who answered (INV-7).
    pub fn show_answer(
        self,
        ticket: &SessionTicket,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Write>, ErrorCode> {
        if self.participant(ticket)?.user.is_some() {
            return Err(ErrorCode::WrongRole);
        }
        let answered = self.of(&ticket.peer()?.device).ok_or(ErrorCode::NotRunning)?;
        let event = Event::InviteUpdate(Answered {
            session: self.session.id.clone(),
            invited: answered.endpoint.clone(),
            from: self.session.inviter_endpoint.clone(),
            answered_by: answered.kind.clone(),
            running_ms: self.running_ms(),
        });
        let others = self.others().filter(|device| device.endpoint == answered.endpoint);
        Ok(others.map(|device| self.tell(&device.device, &event, rng)).collect())
    }

    /// Everybody is told what a participant says (INV-8).
    pub fn update(
        self,
        ticket: &SessionTicket,
        data: &serde_json::Value,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Write>, ErrorCode> {
        use alloc::string::ToString as _;
        if data.to_string().len() > MAX_UPDATE {
            return Err(ErrorCode::TooLarge);
        }
        let by = self.participant(ticket)?;
        let event = self.changed(by, Change::Told { data: data.clone() });
        Ok(self.everybody_but(by).into_iter().map(|device| self.tell(device, &event, rng)).collect())
    }

    /// A participant leaves, and with it perhaps the session ends (INV-8).
    pub fn leave(
        self,
        who: &Participant,
        reason: &str,
        (keys, ringing): (&KeyRing, StillRinging<'_>),
        rng: &mut impl CryptoRng,
    ) -> Vec<Write> {
        let stay: Vec<&Participant> =
            self.participants.iter().filter(|participant| participant.device != who.device).collect();
        let goes_on = stay.len() > 1 && stay.iter().any(|participant| participant.user.is_none());
        if goes_on {
            self.go_on_without(who, reason, &stay, keys, rng)
        } else {
            self.end(who, reason, ringing, rng)
        }
    }

    fn end(
        self,
        who: &Participant,
        reason: &str,
        StillRinging { invitations, legs }: StillRinging<'_>,
        rng: &mut impl CryptoRng,
    ) -> Vec<Write> {
        let session = &self.session.id;
        let leaves =
            |one: &Participant| Write::Leave { session: session.clone(), device: one.device.clone() };
        let mut writes: Vec<Write> = self.participants.iter().map(leaves).collect();
        let event = self.changed(who, Change::Ended { reason: reason.into() });
        writes.extend(self.everybody_but(who).into_iter().map(|device| self.tell(device, &event, rng)));
        // Whoever still rings would come into a session that is over.
        if invitations.iter().any(|invitation| invitation.state == InvitationState::Ringing) {
            writes.extend(answer::cancel(invitations, legs, self.now, rng).unwrap_or_default());
        }
        writes.push(Write::Disarm(session.clone()));
        writes
    }

    fn go_on_without(
        self,
        who: &Participant,
        reason: &str,
        stay: &[&Participant],
        keys: &KeyRing,
        rng: &mut impl CryptoRng,
    ) -> Vec<Write> {
        let session = &self.session.id;
        let generation = self.session.generation.saturating_add(1);
        let mut writes = vec![
            Write::Leave { session: session.clone(), device: who.device.clone() },
            Write::SetGeneration { session: session.clone(), generation },
        ];
        let left = |renewed| self.changed(who, Change::Left { reason: String::from(reason), renewed });
        let (inviter, invited): (Vec<&Participant>, Vec<&Participant>) =
            stay.iter().partition(|participant| participant.user.is_none());
        let media_key = MediaKey::mint(rng);
        for host in inviter {
            for other in &invited {
                for (own, peer) in [(host, *other), (*other, host)] {
                    let ticket = self.ticket((own, peer), (generation, media_key)).seal(keys, rng);
                    let media_key = media_key.reveal();
                    let renewed = Renewed { ticket, towards: peer.endpoint.clone(), media_key };
                    writes.push(self.tell(&own.device, &left(Some(renewed)), rng));
                }
            }
        }
        let shown: Vec<&DeviceId> = self.others().map(|target| &target.device).collect();
        writes.extend(shown.into_iter().map(|device| self.tell(device, &left(None), rng)));
        writes
    }

    fn ticket(
        self,
        (own, peer): (&Participant, &Participant),
        (generation, media_key): (u32, MediaKey),
    ) -> SessionTicket {
        let member =
            |one: &Participant| Member { device: one.device.clone(), endpoint: one.endpoint.clone() };
        SessionTicket {
            session: self.session.id.clone(),
            application: self.session.application.clone(),
            generation,
            role: own.user.map_or(Role::Inviter, |user| Role::Invited { user }),
            own: member(own),
            peer: Some(member(peer)),
            media_key,
            direct_failures: 0,
            judged: None,
            expires_at: self.now.after(TICKET_LIFE),
        }
    }

    fn of(self, device: &DeviceId) -> Option<&'a Participant> {
        self.participants.iter().find(|participant| participant.device == *device)
    }

    /// Devices of everybody's identifiers that take no part.
    fn others(self) -> impl Iterator<Item = &'a Target> {
        self.devices.iter().filter(move |target| self.of(&target.device).is_none()).take(MAX_TOLD)
    }

    fn everybody_but(self, by: &Participant) -> Vec<&'a DeviceId> {
        let participants = self.participants.iter().map(|participant| &participant.device);
        participants
            .filter(|device| **device != by.device)
            .chain(self.others().map(|target| &target.device))
            .collect()
    }

    fn changed(self, by: &Participant, change: Change) -> Event {
        Event::SessionUpdate(SessionChanged {
            session: self.session.id.clone(),
            by: by.endpoint.clone(),
            change,
            running_ms: self.running_ms(),
        })
    }

    fn tell(self, device: &DeviceId, event: &Event, rng: &mut impl CryptoRng) -> Write {
        message(device, event, (None, self.now.after(NEWS_LIFE)), rng)
    }

    /// Since its first accept.
    fn running_ms(self) -> u64 {
        running_ms(self.participants, self.now)
    }
}

/// How long a session has run, in milliseconds: since the first of its participants joined.
pub fn running_ms(participants: &[Participant], now: Timestamp) -> u64 {
    let since = participants.iter().map(|participant| participant.joined_at).min();
    since.map_or(0, |since| millis(since.until(now)))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use switchhook_protocol::invitation::{StopReason, TakeMode};

    use super::*;
    use crate::{
        invitation::testing::{NOW, appended, keys},
        row::{LegState, Milestones},
        testing::TestRng,
    };

    /// Alice in a call with the phones of Bob and Carol; each has a tablet as well.
    pub(super) struct Call {
        session: Session,
        participants: Vec<Participant>,
        devices: Vec<Target>,
        invitations: Vec<Invitation>,
        legs: Vec<Leg>,
    }

    pub(super) fn call(others: &[&str]) -> Call {
        let people: Vec<&str> = ["alice"].iter().chain(others).copied().collect();
        Call {
            session: Session {
                id: "s".parse().unwrap(),
                application: "app".parse().unwrap(),
                inviter: "alice-phone".parse().unwrap(),
                inviter_endpoint: "alice".parse().unwrap(),
                purpose: "audio".into(),
                created_at: NOW,
                expires_at: NOW,
                generation: FIRST,
                routing: None,
                take: TakeMode::First,
            },
            participants: people.iter().enumerate().map(|(at, who)| participant(at, who)).collect(),
            devices: people.iter().flat_map(|who| [device(who, "phone"), device(who, "tablet")]).collect(),
            invitations: vec![],
            legs: vec![],
        }
    }

    fn participant(at: usize, who: &str) -> Participant {
        Participant {
            session: "s".parse().unwrap(),
            device: alloc::format!("{who}-phone").parse().unwrap(),
            endpoint: who.parse().unwrap(),
            kind: "phone".into(),
            user: at.checked_sub(1).map(|user| u16::try_from(user).unwrap()),
            joined_at: NOW,
            seen_at: NOW,
        }
    }

    fn device(who: &str, kind: &str) -> Target {
        let device = alloc::format!("{who}-{kind}").parse().unwrap();
        Target { endpoint: who.parse().unwrap(), device, kind: kind.into() }
    }

    impl Call {
        pub(in crate::session) fn running(&self) -> Running<'_> {
            Running {
                session: &self.session,
                participants: &self.participants,
                devices: &self.devices,
                now: NOW.after(Duration::from_secs(5)),
            }
        }

        pub(in crate::session) fn ticket(&self, own: usize, peer: usize) -> SessionTicket {
            let pair = (&self.participants[own], &self.participants[peer]);
            self.running().ticket(pair, (FIRST, MediaKey::mint(&mut TestRng(4))))
        }

        fn leave(&self, who: usize) -> Vec<Write> {
            let ringing = StillRinging { invitations: &self.invitations, legs: &self.legs };
            let keys = keys();
            self.running().leave(&self.participants[who], "hung-up", (&keys, ringing), &mut TestRng(5))
        }
    }

    pub(super) fn told(writes: &[Write]) -> Vec<(String, Event)> {
        let sent = appended(writes).into_iter();
        sent.map(|(device, event)| (String::from(device.as_str()), event)).collect()
    }

    fn heard(writes: &[Write]) -> Vec<String> {
        told(writes).into_iter().map(|(device, _)| device).collect()
    }

    fn left(writes: &[Write]) -> usize {
        writes.iter().filter(|write| matches!(write, Write::Leave { .. })).count()
    }

    #[test]
    fn inv_7_the_users_other_devices_are_shown_who_answered_and_nobody_else() {
        let call = call(&["bob", "carol"]);
        let writes = call.running().show_answer(&call.ticket(0, 1), &mut TestRng(1)).unwrap();
        let told = told(&writes);
        let [(device, Event::InviteUpdate(answered))] = &told[..] else { panic!("{told:?}") };
        assert_eq!((device.as_str(), answered.answered_by.as_str()), ("bob-tablet", "phone"));
        assert_eq!((answered.from.reveal(), answered.invited.reveal()), ("alice", "bob"));
        assert_eq!(answered.running_ms, 5_000);
        let by_invited = call.running().show_answer(&call.ticket(1, 0), &mut TestRng(1));
        assert_eq!(by_invited, Err(ErrorCode::WrongRole));
    }

    #[test]
    fn inv_8_what_one_tells_reaches_the_others_and_everybodys_other_devices() {
        let call = call(&["bob"]);
        let data = serde_json::json!({ "video": true });
        let writes = call.running().update(&call.ticket(1, 0), &data, &mut TestRng(1)).unwrap();
        assert_eq!(heard(&writes), ["alice-phone", "alice-tablet", "bob-tablet"]);
        let Event::SessionUpdate(changed) = &told(&writes)[0].1 else { panic!("an update") };
        assert_eq!((changed.by.reveal(), &changed.change), ("bob", &Change::Told { data }));
        let large = serde_json::Value::String("x".repeat(MAX_UPDATE));
        assert_eq!(
            call.running().update(&call.ticket(1, 0), &large, &mut TestRng(1)),
            Err(ErrorCode::TooLarge)
        );
    }

    #[test]
    fn inv_8_of_two_one_leaves_and_the_session_is_over() {
        let call = call(&["bob"]);
        for who in [0, 1] {
            let writes = call.leave(who);
            assert_eq!(left(&writes), 2);
            assert!(writes.contains(&Write::Disarm("s".parse().unwrap())));
            assert!(told(&writes).iter().all(|(_, event)| matches!(event, Event::SessionUpdate(changed)
                if changed.change == Change::Ended { reason: "hung-up".into() })));
            assert_eq!(heard(&writes).len(), 3);
        }
    }

    /// INV-11.generations
    #[test]
    fn inv_11_who_leaves_a_session_of_three_can_do_nothing_with_an_old_ticket_nor_can_those_who_stay() {
        let mut call = call(&["bob", "carol"]);
        let old = call.ticket(0, 1);
        let writes = call.leave(2);

        assert_eq!(left(&writes), 1);
        assert!(writes.contains(&Write::SetGeneration { session: "s".parse().unwrap(), generation: 2 }));
        let renewed: Vec<(String, Renewed)> = told(&writes)
            .into_iter()
            .filter_map(|(device, event)| {
                let Event::SessionUpdate(SessionChanged { change: Change::Left { renewed, .. }, .. }) = event
                else {
                    panic!("an update")
                };
                Some((device, renewed?))
            })
            .collect();
        let whose: Vec<(&str, &str)> =
            renewed.iter().map(|(device, it)| (device.as_str(), it.towards.reveal())).collect();
        assert_eq!(whose, [("alice-phone", "bob"), ("bob-phone", "alice")]);
        assert_eq!(renewed[0].1.media_key, renewed[1].1.media_key);
        assert_ne!(renewed[0].1.media_key, old.media_key.reveal());

        let gone = call.ticket(2, 0);
        call.session.generation = 2;
        call.participants.pop();
        let running = call.running();
        assert_eq!(running.participant(&old), Err(ErrorCode::OldTicket));
        assert_eq!(running.participant(&gone), Err(ErrorCode::WrongRole));
        let opened =
            SessionTicket::open(&keys(), &renewed[0].1.ticket, &"alice-phone".parse().unwrap(), NOW).unwrap();
        assert_eq!(running.participant(&opened).unwrap().device.as_str(), "alice-phone");
    }

    #[test]
    fn inv_15_the_inviter_leaves_and_whoever_still_rings_falls_silent() {
        let mut call = call(&["bob", "carol"]);
        call.participants.pop();
        call.invitations.push(Invitation {
            session: "s".parse().unwrap(),
            user: 1,
            endpoint: "carol".parse().unwrap(),
            state: InvitationState::Ringing,
            taken_by: None,
            rings_until: NOW,
            course: None,
        });
        call.legs.push(Leg {
            session: "s".parse().unwrap(),
            user: 1,
            device: "carol-phone".parse().unwrap(),
            wave: 0,
            state: LegState::Rang,
            lease_until: NOW,
            ring: None,
            changed_at: NOW,
            times: Milestones::default(),
        });
        let told = told(&call.leave(0));
        assert!(told.iter().any(|(device, event)| device == "carol-phone"
            && matches!(event, Event::Cancel(cancel) if cancel.reason == StopReason::Cancelled)));
    }
}
