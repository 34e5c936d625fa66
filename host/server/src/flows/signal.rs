//! Live messages, straight to the peer's socket or nowhere: `signal` for candidates, SDP and the like, each of which
//! counts; `presence` for how somebody is at the moment, of which the last counts.
//!
//! Peers exchange many at a time under one ticket: what a connection's last ticket and alias were opened to is
//! kept with the connection, for as long as the ticket counts.

use switchhook_core::ticket::{Alias, SessionTicket};
use switchhook_protocol::{
    client::Signal, error::ErrorCode, id::SessionId, server::PeerSignal, time::Timestamp,
};

use super::Caller;
use crate::{
    app::App,
    online::{Live, Whose},
};

/// Largest `data`, in bytes: an SDP with its candidates has room.
const MAX_DATA: usize = 16 * 1024;

/// Where a ticket and an alias lead.
#[derive(Debug)]
pub(crate) struct Way {
    ticket: String,
    to: String,
    until: Timestamp,
    session: SessionId,
    peer: Whose,
    /// As the peer knows the caller.
    from: String,
}

pub(crate) fn signal(
    app: &App,
    caller: &Caller,
    known: &mut Option<Box<Way>>,
    request: Signal,
    live: fn(PeerSignal) -> Live,
) -> Result<(), ErrorCode> {
    if request.data.to_string().len() > MAX_DATA {
        return Err(ErrorCode::TooLarge);
    }
    let way = match known.take().filter(|way| way.is_of(&request, app.now())) {
        Some(way) => way,
        None => Box::new(Way::open(app, caller, request.ticket, request.to)?),
    };
    let way = known.insert(way);
    let signal = PeerSignal { session: way.session.clone(), from: way.from.clone(), data: request.data };
    if app.online.pass_on(&way.peer, live(signal)) {
        app.metrics.signalled.inc();
    }
    Ok(())
}

impl Way {
    fn open(app: &App, caller: &Caller, ticket: String, to: String) -> Result<Self, ErrorCode> {
        let keys = app.keys.of(&caller.tenant);
        let opened = SessionTicket::open(&keys, &ticket, &caller.device.id, app.now())?;
        let peer = Alias::open(&keys, &to, &opened.session)?;
        let own = Alias { session: opened.session.clone(), device: caller.device.id.clone() };
        Ok(Self {
            ticket,
            to,
            until: opened.expires_at,
            session: opened.session,
            peer: (caller.tenant.clone(), peer.device),
            from: own.seal(&keys, &mut app.rng()),
        })
    }

    fn is_of(&self, request: &Signal, now: Timestamp) -> bool {
        self.ticket == request.ticket && self.to == request.to && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_gone_again_by_the_same_ticket_and_alias_while_the_ticket_counts() {
        let way = Way {
            ticket: "ticket".to_owned(),
            to: "alias".to_owned(),
            until: Timestamp::from_millis(1_000),
            session: "call".parse().unwrap(),
            peer: ("acme".parse().unwrap(), "phone".parse().unwrap()),
            from: "own".to_owned(),
        };
        let is_of = |ticket: &str, to: &str, now| {
            let signal =
                Signal { ticket: ticket.to_owned(), to: to.to_owned(), data: serde_json::Value::Null };
            way.is_of(&signal, Timestamp::from_millis(now))
        };
        assert!(is_of("ticket", "alias", 999));
        assert!(!is_of("ticket", "alias", 1_000), "it has expired");
        assert!(!is_of("another", "alias", 999));
        assert!(!is_of("ticket", "another", 999));
    }
}
