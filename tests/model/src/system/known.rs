//! What devices know of a session: tickets and rings, as they came.

use std::collections::BTreeMap;

use anyhow::Result;
use switchhook_protocol::{
    call::Operation,
    connection_data::ConnectionData,
    event::{Event, Rung},
    id::{IdempotencyKey, SessionId},
    invitation::{Accept, Accepted, Cancel, Decline, Invite, Ringing, Stopped, Take, TakeMode},
    peer::SessionKey,
    session::{End, SessionUpdate},
};

use super::words;
use crate::{
    people::{ALICE, Device, INVITER},
    reference::Time,
    router::Router,
    step::Does,
};

/// What Alice asks for.
pub(crate) fn invite(
    invited: &[&str],
    (router, choose): (Router, bool),
    (session_key, key): (&SessionKey, IdempotencyKey),
) -> Result<Invite> {
    Ok(Invite {
        invited: invited.iter().map(|endpoint| endpoint.parse()).collect::<Result<_, _>>()?,
        dialled: vec![],
        from: ALICE.parse()?,
        purpose: router.word().to_owned(),
        display_name: "Alice".to_owned(),
        connection_data: ConnectionData::default(),
        session_key: session_key.clone(),
        take: if choose { TakeMode::Choose } else { TakeMode::First },
        idempotency_key: Some(key),
    })
}

/// By which an invite is asked again: that of this time, after so many.
pub(crate) fn key(now: Time, sessions: usize) -> Result<IdempotencyKey> {
    Ok(format!("invite-{now}-{sessions}").parse()?)
}

/// What devices know of a session.
pub(crate) struct Known {
    pub(crate) id: SessionId,
    tickets: BTreeMap<Device, String>,
    rings: BTreeMap<Device, Rung>,
    /// The inviter's ticket from its invite, and those from accepts.
    inviter: String,
    accepts: BTreeMap<Device, String>,
}

impl Known {
    /// After an invite.
    pub(crate) fn new(id: SessionId, ticket: String) -> Self {
        let tickets = BTreeMap::from([(INVITER, ticket.clone())]);
        Self { id, tickets, rings: BTreeMap::new(), inviter: ticket, accepts: BTreeMap::new() }
    }

    /// The answer to a device's accept.
    pub(crate) fn accepted(&mut self, device: Device, accepted: Accepted) {
        self.tickets.insert(device, accepted.ticket);
    }

    /// What a device learns from a message.
    pub(crate) fn learn(&mut self, device: Device, event: Event, acting: Option<Device>) {
        if let Some(ticket) = words::renewed(&event) {
            self.tickets.insert(device, ticket);
        }
        if let Event::Invite(rung) = event {
            self.tickets.insert(device, rung.ticket.clone());
            self.rings.insert(device, rung);
        } else if let Event::Accept(accepted) = event {
            self.tickets.insert(device, accepted.ticket.clone());
            self.accepts.extend(acting.map(|acting| (acting, accepted.ticket)));
        }
    }

    /// What a device asks the host for.
    pub(crate) fn operation(&self, device: Device, does: Does, session_key: &SessionKey) -> Operation {
        let rung = || self.rings[&device].clone();
        let rung_ticket = || rung().ticket;
        let ticket = || self.tickets[&device].clone();
        match does {
            Does::Rings => Operation::Ringing(Ringing { ticket: rung_ticket() }.into()),
            Does::Stops => Operation::Stopped(Stopped { ticket: rung_ticket() }.into()),
            Does::Declines => {
                Operation::Decline(Decline { ticket: rung_ticket(), reason: "declined".to_owned() }.into())
            }
            Does::IsBusy => {
                Operation::Decline(Decline { ticket: rung_ticket(), reason: "busy".to_owned() }.into())
            }
            Does::Accepts => Operation::Accept(
                Accept {
                    ticket: rung_ticket(),
                    inviter_connection_data: rung().inviter_connection_data,
                    connection_data: ConnectionData::default(),
                    session_key: session_key.clone(),
                    retry: false,
                }
                .into(),
            ),
            Does::Cancels => Operation::Cancel(Cancel { ticket: self.inviter.clone() }.into()),
            Does::Takes(chosen) => {
                Operation::Take(Take { tickets: vec![self.accepts[&chosen].clone()] }.into())
            }
            Does::Tells => Operation::SessionUpdate(
                SessionUpdate { ticket: ticket(), data: "told".into(), idempotency_key: None }.into(),
            ),
            Does::Ends => Operation::End(End { ticket: ticket(), reason: "hung-up".to_owned() }.into()),
        }
    }
}
