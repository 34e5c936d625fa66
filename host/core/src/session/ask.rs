//! A device of a user who takes part from another one asks for the session (INV-18).
//!
//! Nothing of an ask is stored. Whoever has the session hears who asks, under an alias that is sealed for this session,
//! and may say no by it. An ask that nobody answers is over by its time, which both sides are told.

use alloc::{format, vec::Vec};
use core::time::Duration;

use rand_core::CryptoRng;
use switchhook_protocol::{
    error::ErrorCode,
    event::Event,
    id::DeviceId,
    session::{SessionAsked, SessionRefused},
};

use super::Running;
use crate::{
    invitation::{NEWS_LIFE, message},
    row::{Participant, Target, Write},
    seal::KeyRing,
    ticket::{Alias, SessionTicket},
};

/// How long an ask counts: who has the session looks at the device in their hand.
pub const ASK: Duration = Duration::from_secs(30);

impl Running<'_> {
    /// The devices of the asker's user that take part are told who asks. Whoever is no device of theirs learns no more than
    /// of a session that is none.
    pub fn ask(
        self,
        asker: &DeviceId,
        keys: &KeyRing,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Write>, ErrorCode> {
        if self.of(asker).is_some() {
            return Err(ErrorCode::WrongRole);
        }
        let mut writes = Vec::new();
        for holder in self.participants {
            let Some(own) = self.other_of(holder, asker) else { continue };
            let alias = Alias { session: self.session.id.clone(), device: asker.clone() };
            let event = Event::SessionAsked(SessionAsked {
                session: self.session.id.clone(),
                endpoint: holder.endpoint.clone(),
                alias: alias.seal(keys, rng),
                device_kind: own.kind.clone(),
            });
            // Asked again, it is the same ask.
            let again = format!("session-asked/{}/{asker}", self.session.id);
            writes.push(message(&holder.device, &event, (Some(again), self.now.after(ASK)), rng));
        }
        if writes.is_empty() { Err(ErrorCode::NotRunning) } else { Ok(writes) }
    }

    /// Who has the session keeps it; the device of its user that asked is told so.
    pub fn refuse(
        self,
        ticket: &SessionTicket,
        asker: &Alias,
        reason: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Write>, ErrorCode> {
        let by = self.participant(ticket)?;
        if self.of(&asker.device).is_some() || self.other_of(by, &asker.device).is_none() {
            return Err(ErrorCode::WrongRole);
        }
        let event = Event::SessionRefused(SessionRefused {
            session: self.session.id.clone(),
            endpoint: by.endpoint.clone(),
            refused_by: by.kind.clone(),
            reason: reason.into(),
        });
        let again = format!("session-refused/{}/{}", self.session.id, by.device);
        Ok(Vec::from([message(&asker.device, &event, (Some(again), self.now.after(NEWS_LIFE)), rng)]))
    }

    /// The device, as one of the participant's user.
    fn other_of(&self, participant: &Participant, device: &DeviceId) -> Option<&Target> {
        self.devices.iter().find(|own| own.device == *device && own.endpoint == participant.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::{
        super::tests::{call, told},
        *,
    };
    use crate::{invitation::testing::keys, testing::TestRng};

    fn device(id: &str) -> DeviceId {
        id.parse().unwrap()
    }

    /// INV-18.asked
    #[test]
    fn inv_18_who_has_the_session_hears_which_device_of_its_user_asks_and_nobody_else_does() {
        let call = call(&["bob", "carol"]);
        let writes = call.running().ask(&device("bob-tablet"), &keys(), &mut TestRng(1)).unwrap();

        let told = told(&writes);
        let [(holder, Event::SessionAsked(asked))] = &told[..] else { panic!("{told:?}") };
        assert_eq!(holder, "bob-phone");
        assert_eq!((asked.endpoint.reveal(), asked.device_kind.as_str()), ("bob", "tablet"));
        let alias = Alias::open(&keys(), &asked.alias, &"s".parse().unwrap()).unwrap();
        assert_eq!(alias.device, device("bob-tablet"));
        let [Write::Append(message)] = &writes[..] else { panic!("{writes:?}") };
        assert_eq!(message.expires_at, call.running().now.after(ASK));
        assert_eq!(message.collapse_key.as_deref(), Some("session-asked/s/bob-tablet"));
    }

    /// INV-18.asked
    #[test]
    fn inv_18_who_takes_part_asks_for_nothing_and_a_stranger_learns_nothing() {
        let call = call(&["bob"]);
        let ask = |who: &str| call.running().ask(&device(who), &keys(), &mut TestRng(1));
        assert_eq!(ask("bob-phone"), Err(ErrorCode::WrongRole));
        assert_eq!(ask("mallory-phone"), Err(ErrorCode::NotRunning));
    }

    /// INV-18.asked
    #[test]
    fn inv_18_only_who_has_the_session_refuses_and_only_a_device_of_its_user_is_told() {
        let call = call(&["bob"]);
        let refuse = |own: usize, peer: usize, asker: &str| {
            let asker = Alias { session: "s".parse().unwrap(), device: device(asker) };
            call.running().refuse(&call.ticket(own, peer), &asker, "busy", &mut TestRng(1))
        };

        let told = told(&refuse(1, 0, "bob-tablet").unwrap());
        let [(asker, Event::SessionRefused(refused))] = &told[..] else { panic!("{told:?}") };
        assert_eq!(asker, "bob-tablet");
        assert_eq!((refused.refused_by.as_str(), refused.reason.as_str()), ("phone", "busy"));
        for (own, peer, asker) in
            [(0, 1, "bob-tablet"), (1, 0, "alice-phone"), (1, 0, "bob-phone"), (1, 0, "eve")]
        {
            let refused = refuse(own, peer, asker);
            assert_eq!(refused, Err(ErrorCode::WrongRole), "{own} {}", String::from(asker));
        }
    }
}
