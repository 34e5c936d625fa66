//! A ringing session for tests: Alice invites Bob, who has a phone and a tablet.

#![expect(clippy::wildcard_enum_match_arm, clippy::unused_self, reason = "a harness picks what it looks for")]

use alloc::{collections::BTreeSet, string::String, vec, vec::Vec};
use core::time::Duration;

use switchhook_protocol::{
    connection_data::{Candidate, CandidateKind, Claims, ConnectionData},
    device_key::{Algorithm, DeviceKey, KeyBytes},
    endpoint::EndpointId,
    event::Event,
    id::{DeviceId, TenantId},
    invitation::{Accept, Invite, TakeMode},
    peer::SessionKey,
    time::Timestamp,
};

use super::{
    course::Course,
    going_on::{GoingOn, go_on},
    invite::{Inviting, Reachable, invite},
    routing::{Asked, Routing},
};
use crate::{
    network::{InviterSide, NetworkFacts},
    policy::route::{AskAgain, Finally, Plan, Ring, TargetIndex, Wave},
    row::{Device, Invitation, Leg, Participant, Session, Target, Write},
    seal::{KeyRing, RootKeys, Scope},
    testing::TestRng,
    ticket::SessionTicket,
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub(crate) const PHONE: &str = "bob-phone";
pub(crate) const TABLET: &str = "bob-tablet";

/// The rows of a ringing invite, and what its devices were sent.
pub(crate) struct RungCall {
    pub(crate) keys: KeyRing,
    pub(crate) invitation: Invitation,
    pub(crate) legs: Vec<Leg>,
    pub(crate) session: Session,
    pub(crate) participants: Vec<Participant>,
    rungs: Vec<(DeviceId, Event)>,
}

pub(crate) fn ringing(devices: &[&str]) -> RungCall {
    let targets: Vec<Reachable> = devices.iter().map(|device| reachable(device)).collect();
    let (inviter, session) = (alice(), "session".parse().unwrap());
    let facts = Inviting {
        keys: &keys(),
        session: &session,
        inviter: &inviter,
        routing: &routing(),
        course: &course(targets),
        plan: &ring_all(u16::try_from(devices.len()).unwrap()),
        registered: &BTreeSet::from([target(PHONE).endpoint]),
        now: NOW,
    };
    let invited = invite(facts, &mut TestRng(7)).unwrap();
    let invitation = invited.writes.iter().find_map(|write| match write {
        Write::OpenInvitation(invitation) => Some(invitation.clone()),
        _ => None,
    });
    let opened = invited.writes.iter().find_map(|write| match write {
        Write::OpenSession(session) => Some(session.clone()),
        _ => None,
    });
    RungCall {
        keys: keys(),
        invitation: invitation.unwrap(),
        legs: rung_legs(&invited.writes),
        session: opened.unwrap(),
        participants: vec![],
        rungs: appended(&invited.writes),
    }
}

impl RungCall {
    /// What an accepting device has: its ticket, its request, the inviter's side that it echoes.
    pub(crate) fn accepting(&self, device: &str, retry: bool) -> (SessionTicket, Accept, InviterSide) {
        let rung = self.rungs.iter().rev().find_map(|(to, event)| match event {
            Event::Invite(rung) if to.as_str() == device => Some(rung),
            _ => None,
        });
        let rung = rung.unwrap();
        let holder = device.parse().unwrap();
        let ticket = SessionTicket::open(&self.keys, &rung.ticket, &holder, NOW).unwrap();
        let side = InviterSide::open(&self.keys, &rung.inviter_connection_data, &rung.session).unwrap();
        let request = Accept {
            ticket: rung.ticket.clone(),
            inviter_connection_data: rung.inviter_connection_data.clone(),
            connection_data: ConnectionData::default(),
            session_key: session_key(),
            retry,
        };
        (ticket, request, side)
    }

    pub(crate) fn device(&self, id: &str) -> Device {
        Device { id: id.parse().unwrap(), ..alice() }
    }

    pub(crate) fn inviter_endpoint(&self) -> EndpointId {
        invite_request().from
    }

    /// What a new plan for Bob leads to then.
    pub(crate) fn go_on(&self, course: &Course, plan: &Plan, now: Timestamp) -> Vec<Write> {
        let (routing, inviter) = (routing(), alice());
        let facts = GoingOn {
            keys: &self.keys,
            session: &self.session,
            routing: &routing,
            inviter: &inviter,
            invitation: &self.invitation,
            legs: &self.legs,
            now,
        };
        go_on(facts, course, plan, &mut TestRng(8))
    }

    /// What a database would do.
    pub(crate) fn apply(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::SetInvitation { state, taken_by, .. } => {
                    self.invitation.state = *state;
                    self.invitation.taken_by.clone_from(taken_by);
                }
                Write::SetLeg { device, state, .. } => {
                    let leg = self.legs.iter_mut().find(|leg| leg.device == *device);
                    leg.unwrap().state = *state;
                }
                Write::Join(participant) => self.participants.push(participant.clone()),
                Write::OpenLeg(opened) => {
                    self.legs.retain(|leg| leg.device != opened.device);
                    self.legs.push(opened.clone());
                }
                _ => {}
            }
        }
        self.rungs.extend(appended(writes));
    }
}

pub(crate) fn rung_legs(writes: &[Write]) -> Vec<Leg> {
    let leg = |write: &Write| if let Write::OpenLeg(leg) = write { Some(leg.clone()) } else { None };
    writes.iter().filter_map(leg).collect()
}

pub(crate) fn appended(writes: &[Write]) -> Vec<(DeviceId, Event)> {
    let sent = |write: &Write| match write {
        Write::Append(message) => {
            Some((message.device.clone(), serde_json::from_str(&message.event).unwrap()))
        }
        _ => None,
    };
    writes.iter().filter_map(sent).collect()
}

pub(crate) fn keys() -> KeyRing {
    let tenant: TenantId = "acme".parse().unwrap();
    RootKeys::new([1; 32], []).ring(Scope::Tenant(&tenant))
}

pub(crate) fn alice() -> Device {
    Device {
        id: "alice-phone".parse().unwrap(),
        application: "app".parse().unwrap(),
        kind: "phone".into(),
        key: DeviceKey { algorithm: Algorithm::Ed25519, public: KeyBytes(vec![1; 32]) },
        enrolled_at: NOW,
        push_token_until: NOW,
        dials_from: None,
    }
}

pub(crate) fn target(device: &str) -> Target {
    let kind = device.rsplit('-').next().map(String::from);
    Target { endpoint: "+15550101".parse().unwrap(), device: device.parse().unwrap(), kind: kind.unwrap() }
}

pub(crate) fn routing() -> Routing {
    Routing::new(Asked::from(&invite_request()), network(), &mut TestRng(3))
}

pub(crate) fn course(targets: Vec<Reachable>) -> Course {
    Course::new(&Asked::from(&invite_request()), targets)
}

pub(crate) fn reachable(device: &str) -> Reachable {
    Reachable { user: 0, target: target(device) }
}

pub(crate) fn invite_request() -> Invite {
    Invite {
        invited: vec!["+15550101".parse().unwrap(), "+15550199".parse().unwrap()],
        dialled: vec![],
        from: "+15550100".parse().unwrap(),
        purpose: "audio".into(),
        display_name: "Alice".into(),
        connection_data: ConnectionData::default(),
        session_key: session_key(),
        take: TakeMode::First,
        idempotency_key: None,
    }
}

pub(crate) fn network() -> NetworkFacts {
    let own = Candidate {
        kind: CandidateKind::Host,
        address: "192.0.2.7:4000".parse().unwrap(),
        priority: 126 << 24,
    };
    let claimed = Claims { host_candidates: vec![own], ..Claims::default() };
    NetworkFacts::read(&ConnectionData { observed: vec![], claimed }, &keys(), NOW).unwrap()
}

pub(crate) fn ring_all(targets: u16) -> Plan {
    let ring = |index| Ring { target: TargetIndex(index), ring_time: Duration::from_secs(30) };
    let wave = Wave { rings: (0..targets).map(ring).collect(), starts_after: Duration::ZERO };
    Plan {
        waves: if targets == 0 { vec![] } else { vec![wave] },
        ask_again: AskAgain::default(),
        resources: vec![],
        finally: Finally::GiveUp("no-answer".into()),
    }
}

fn session_key() -> SessionKey {
    SessionKey { public: KeyBytes(vec![2; 32]), signature: KeyBytes(vec![3; 64]) }
}
