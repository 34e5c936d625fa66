//! What the host says about running sessions, kept for the call that asks for it.
//!
//! Relay events and the end come by the mailbox like all others, and may come before the application has
//! begun the call. They wait here, bounded by session and in number; of the sessions that no call follows
//! the oldest goes first.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use switchhook_protocol::{
    event::{DeviceTaken, Event, PeerRelayed, RelayGiven},
    exchange::PeerElsewhere,
    id::SessionId,
    session::{Change, Renewed, SessionChanged},
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::limits;

/// Something about one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SessionEvent {
    /// The other side asked for the relay.
    Given(Box<RelayGiven>),
    /// The other side is elsewhere on the network.
    Elsewhere(Box<PeerElsewhere>),
    /// The relay's address of the other side.
    Relayed(PeerRelayed),
    /// Somebody else has left: with this ticket and key it goes on.
    Renewed(Box<Renewed>),
    /// It is over.
    Ended,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<VecDeque<Session>>);

#[derive(Debug)]
struct Session {
    id: SessionId,
    sender: Sender<SessionEvent>,
    waiting: Option<Receiver<SessionEvent>>,
}

impl Session {
    fn new(id: &SessionId) -> Self {
        let (sender, receiver) = channel(limits::SESSION_EVENTS);
        Self { id: id.clone(), sender, waiting: Some(receiver) }
    }

    /// Whether a call takes what is said about it.
    fn is_followed(&self) -> bool {
        self.waiting.is_none() && !self.sender.is_closed()
    }
}

impl Sessions {
    /// Keeps what a call will want; other events are none of its business.
    pub(crate) fn notice(&self, event: &Event) {
        let (session, noticed) = match event {
            Event::RelayResponse(given) => (&given.session, SessionEvent::Given(Box::new(given.clone()))),
            Event::ConnectionData(elsewhere) => {
                (&elsewhere.session, SessionEvent::Elsewhere(Box::new(elsewhere.clone())))
            }
            Event::RelayUpdate(relayed) => (&relayed.session, SessionEvent::Relayed(relayed.clone())),
            Event::SessionUpdate(SessionChanged { session, change: Change::Ended { .. }, .. }) => {
                (session, SessionEvent::Ended)
            }
            Event::SessionUpdate(SessionChanged {
                session,
                change: Change::Left { renewed: Some(renewed), .. },
                ..
            })
            | Event::Taken(DeviceTaken { session, renewed: Some(renewed) }) => {
                (session, SessionEvent::Renewed(Box::new(renewed.clone())))
            }
            Event::Invite(_)
            | Event::Accept(_)
            | Event::Decline(_)
            | Event::Ringing(_)
            | Event::Cancel(_)
            | Event::Taken(DeviceTaken { renewed: None, .. })
            | Event::Outcome(_)
            | Event::Rerouted(_)
            | Event::InviteUpdate(_)
            | Event::SessionAsked(_)
            | Event::SessionRefused(_)
            | Event::Notice(_)
            | Event::Asked(_)
            | Event::RegisteredElsewhere(_)
            | Event::SessionUpdate(SessionChanged {
                change: Change::Told { .. } | Change::Left { renewed: None, .. },
                ..
            }) => return,
        };
        self.with(session, |session| {
            if session.sender.try_send(noticed).is_err() {
                tracing::warn!(session.id = %session.id, "an event came too late or once too often");
            }
        });
    }

    /// What was said about the session, and what will be. A later call of the session takes over.
    pub(crate) fn follow(&self, session: &SessionId) -> Receiver<SessionEvent> {
        self.with(session, |session| {
            session.waiting.take().unwrap_or_else(|| {
                let (sender, receiver) = channel(limits::SESSION_EVENTS);
                session.sender = sender;
                receiver
            })
        })
    }

    fn with<T>(&self, id: &SessionId, act: impl FnOnce(&mut Session) -> T) -> T {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sessions.iter().position(|session| session.id == *id);
        let mut session = found.and_then(|at| sessions.remove(at)).unwrap_or_else(|| Session::new(id));
        let outcome = act(&mut session);
        sessions.push_back(session);
        if sessions.len() > limits::SESSIONS {
            let idle = sessions.iter().position(|session| !session.is_followed());
            sessions.remove(idle.unwrap_or_default());
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relayed(session: &str) -> PeerRelayed {
        PeerRelayed {
            session: session.parse().unwrap(),
            alias: "a".into(),
            relayed: "192.0.2.1:4000".parse().unwrap(),
            observed: None,
        }
    }

    #[test]
    fn what_comes_before_the_call_waits_for_it() {
        let sessions = Sessions::default();
        sessions.notice(&Event::RelayUpdate(relayed("one")));
        sessions.notice(&Event::RelayUpdate(relayed("two")));
        let mut one = sessions.follow(&"one".parse().unwrap());
        assert_eq!(one.try_recv(), Ok(SessionEvent::Relayed(relayed("one"))));
        assert!(one.try_recv().is_err());
        sessions.notice(&Event::RelayUpdate(relayed("one")));
        assert_eq!(one.try_recv(), Ok(SessionEvent::Relayed(relayed("one"))));
    }

    #[test]
    fn a_session_that_a_call_follows_is_kept_and_its_end_is_told() {
        let ended = |session: &str| {
            let (session, by) = (session.parse().unwrap(), "+15550100".parse().unwrap());
            let change = Change::Ended { reason: "hung-up".to_owned() };
            Event::SessionUpdate(SessionChanged { session, by, change, running_ms: 1 })
        };
        let sessions = Sessions::default();
        let mut followed = sessions.follow(&"followed".parse().unwrap());
        for number in 0..100 {
            sessions.notice(&ended(&format!("s{number}")));
        }
        sessions.notice(&ended("followed"));
        assert_eq!(followed.try_recv(), Ok(SessionEvent::Ended));
        assert!(sessions.follow(&"s0".parse().unwrap()).try_recv().is_err(), "the oldest went");
    }

    #[test]
    fn inv_11_the_ticket_that_counts_after_somebody_has_left_is_told() {
        let renewed = Renewed {
            ticket: "t".to_owned(),
            towards: "+15550101".parse().unwrap(),
            media_key: "k".to_owned(),
        };
        let left = |renewed: Option<&Renewed>| {
            let (session, by) = ("one".parse().unwrap(), "+15550100".parse().unwrap());
            let change = Change::Left { reason: "hung-up".to_owned(), renewed: renewed.cloned() };
            Event::SessionUpdate(SessionChanged { session, by, change, running_ms: 1 })
        };
        let sessions = Sessions::default();
        let mut one = sessions.follow(&"one".parse().unwrap());
        sessions.notice(&left(None));
        let taken = |renewed| Event::Taken(DeviceTaken { session: "one".parse().unwrap(), renewed });
        sessions.notice(&taken(None));
        for renews in [left(Some(&renewed)), taken(Some(renewed.clone()))] {
            sessions.notice(&renews);
            assert_eq!(one.try_recv(), Ok(SessionEvent::Renewed(Box::new(renewed.clone()))));
        }
    }

    #[test]
    fn sessions_that_no_call_asks_for_are_forgotten() {
        let sessions = Sessions::default();
        for number in 0..100 {
            sessions.notice(&Event::RelayUpdate(relayed(&format!("s{number}"))));
        }
        assert_eq!(sessions.0.lock().unwrap().len(), limits::SESSIONS);
        assert!(sessions.follow(&"s0".parse().unwrap()).try_recv().is_err());
    }
}
