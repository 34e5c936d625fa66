//! The reference: what ought to happen, in the simplest words.
//!
//! It knows no rows, tickets or transactions: a session is its users, the legs of their devices and who takes part, and
//! each step says at once what is answered, who hears what, and what is left to happen when.

mod answers;
mod running;
mod time;

use std::collections::BTreeMap;

use switchhook_core::policy::route::{AskAgain, Finally};
use switchhook_protocol::error::ErrorCode;

use crate::{
    people::{Device, INVITER, devices_of},
    router::{Router, Seen},
    step::Does,
};

/// Milliseconds.
pub(crate) type Time = u64;

/// Who hears what, in words.
pub(crate) type Heard = Vec<(Device, String)>;

/// What a step leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) answer: Result<(), ErrorCode>,
    pub(crate) heard: Heard,
}

/// A session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    router: Router,
    choose: bool,
    pub(crate) users: Vec<User>,
    pub(crate) legs: BTreeMap<Device, Leg>,
    pub(crate) participants: Vec<Device>,
    /// Counts changes of who takes part.
    generation: u32,
    /// The generation of the ticket that each device has.
    tickets: BTreeMap<Device, u32>,
    /// Devices whose accept the inviter has heard of, and the generation of its ticket.
    accepted: BTreeMap<Device, u32>,
    waves: Vec<(Time, u8)>,
}

/// An invited user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    endpoint: &'static str,
    pub(crate) state: &'static str,
    rings_until: Time,
    /// When the end of its ring time comes; none if it came.
    ring_end: Option<Time>,
    /// Its router is to be asked.
    reroute: bool,
    ask_again: AskAgain,
    finally: Finally,
    forwarded: bool,
    /// Devices that its router was told of.
    known: Vec<Device>,
}

/// A rung device.
#[derive(Debug, Clone)]
pub(crate) struct Leg {
    pub(crate) user: usize,
    pub(crate) state: &'static str,
    wave: u8,
    lease_until: Time,
}

/// What can be seen of a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Each user's state.
    pub(crate) users: Vec<String>,
    /// Each device's user and leg.
    pub(crate) legs: BTreeMap<String, (usize, String)>,
    pub(crate) participants: Vec<String>,
}

/// States in which a device rings or will, as long as its ring lasts.
const MAY_RING: [&str; 4] = ["planned", "queued", "rang", "offered"];

impl Session {
    /// An invite of these people by Alice.
    pub(crate) fn invite(
        invited: &[&'static str],
        (router, choose): (Router, bool),
        now: Time,
    ) -> (Self, Outcome) {
        let user = |endpoint: &&'static str| User {
            endpoint,
            state: "ringing",
            rings_until: now,
            ring_end: None,
            reroute: false,
            ask_again: AskAgain::default(),
            finally: Finally::GiveUp(String::new()),
            forwarded: false,
            known: devices_of(endpoint).collect(),
        };
        let mut session = Self {
            router,
            choose,
            users: invited.iter().map(user).collect(),
            legs: BTreeMap::new(),
            participants: vec![],
            generation: 1,
            tickets: BTreeMap::from([(INVITER, 1)]),
            accepted: BTreeMap::new(),
            waves: vec![],
        };
        let mut heard = Heard::new();
        for user in 0..session.users.len() {
            session.ring(user, now, &mut heard);
        }
        (session, Outcome { answer: Ok(()), heard })
    }

    /// What a device does about it. None: it has nothing to do it with.
    pub(crate) fn act(&mut self, device: Device, does: Does, now: Time) -> Option<Outcome> {
        let mut heard = Heard::new();
        let answer = match does {
            Does::Tells | Does::Ends => {
                self.tickets.get(&device)?;
                self.act_in_call(device, does, &mut heard)
            }
            Does::Cancels => self.cancel(&mut heard),
            Does::Takes(chosen) => {
                self.accepted.contains_key(&chosen).then_some(())?;
                self.take(chosen, &mut heard)
            }
            Does::Rings => self.ringer(device)?.rings(device, now, &mut heard),
            Does::Accepts => self.ringer(device)?.accept(device, now, &mut heard),
            Does::Declines => self.ringer(device)?.decline(device, ("declined", now), &mut heard),
            Does::IsBusy => self.ringer(device)?.decline(device, ("busy", now), &mut heard),
            Does::Stops => {
                self.ringer(device)?.stopped(device);
                Ok(())
            }
        };
        Some(Outcome { answer, heard })
    }

    /// Stops a user's devices that ring or will.
    fn stop(&mut self, user: usize, why: &str, heard: &mut Heard) {
        for (device, leg) in self.legs.iter_mut().filter(|(_, leg)| leg.user == user) {
            if leg.state == "planned" {
                leg.state = "stop-confirmed";
            } else if MAY_RING.contains(&leg.state) {
                leg.state = "stopped";
                heard.push((*device, format!("cancel: {why}")));
            }
        }
    }

    /// Nobody of a user is left to ring.
    fn over(&mut self, user: usize, heard: &mut Heard) {
        let all = |states: &[&str]| self.of_user(user).all(|leg| states.contains(&leg.state));
        let (state, outcome) = if all(&["busy"]) {
            ("declined", "busy")
        } else if all(&["busy", "declined"]) {
            ("declined", "all-declined")
        } else {
            ("no-answer", "no-answer")
        };
        self.users[user].state = state;
        self.stop(user, "no-answer", heard);
        heard.push((INVITER, self.users[user].outcome(outcome)));
    }

    /// None, unless the device was ever rung.
    fn ringer(&mut self, device: Device) -> Option<&mut Self> {
        (device != INVITER && self.tickets.contains_key(&device)).then_some(self)
    }

    /// A device has not had the answer to its accept, and goes on with the ticket that it had.
    pub(crate) fn answer_lost(&mut self, device: Device, before: &Self) {
        let ticket = before.tickets.get(&device).filter(|_| device != INVITER);
        self.tickets.extend(ticket.map(|generation| (device, *generation)));
    }

    /// What ought to be stored.
    pub(crate) fn stored(&self) -> Stored {
        let mut participants: Vec<String> = self.participants.iter().map(|it| it.id.to_owned()).collect();
        participants.sort();
        let leg = |(device, leg): (&Device, &Leg)| (device.id.to_owned(), (leg.user, leg.state.to_owned()));
        Stored {
            users: self.users.iter().map(|user| user.state.to_owned()).collect(),
            legs: self.legs.iter().map(leg).collect(),
            participants,
        }
    }

    fn leg(&mut self, device: Device) -> &mut Leg {
        self.legs.get_mut(&device).expect("who has a ticket has a leg")
    }

    fn of_user(&self, user: usize) -> impl Iterator<Item = &Leg> {
        self.legs.values().filter(move |leg| leg.user == user)
    }

    /// Whether a device of a user rings or will: no ring outlives its own time, and who has accepted waits to be taken.
    fn rung_at(&self, user: usize, now: Time) -> bool {
        let rings =
            |leg: &Leg| leg.state == "offered" || (MAY_RING.contains(&leg.state) && now < leg.lease_until);
        self.of_user(user).any(rings)
    }

    /// How a user's devices look to the router.
    fn seen(&self, user: usize) -> Vec<Seen<'static>> {
        let tried = |device| self.legs.get(device).is_some_and(|leg| leg.state != "planned");
        self.users[user].known.iter().map(|device| Seen { kind: device.kind, tried: tried(device) }).collect()
    }
}

impl User {
    /// Whether it may go on to somebody else.
    fn goes_on(&self) -> bool {
        matches!(self.finally, Finally::Forward(_)) && !self.forwarded
    }

    fn outcome(&self, outcome: &str) -> String {
        let word = match &self.finally {
            Finally::GiveUp(word) if word != "no-answer" => word.as_str(),
            Finally::GiveUp(_) | Finally::Forward(_) | Finally::Bridge(_) => "",
        };
        format!("outcome of {}: {outcome} {word}", self.endpoint)
    }
}
