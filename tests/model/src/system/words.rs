//! What is seen of the system, in the reference's words.

use switchhook_core::row::{InvitationState, LegState};
use switchhook_protocol::{
    event::{DeviceTaken, Event},
    id::SessionId,
    session::{Change, SessionChanged},
};

/// Which session an event is about, if it is about one.
pub(crate) const fn session(event: &Event) -> Option<&SessionId> {
    Some(match event {
        Event::Invite(it) => &it.session,
        Event::Accept(it) => &it.session,
        Event::Decline(it) => &it.session,
        Event::Ringing(it) => &it.session,
        Event::Cancel(it) => &it.session,
        Event::Taken(it) => &it.session,
        Event::Outcome(it) => &it.session,
        Event::Rerouted(it) => &it.session,
        Event::RelayResponse(it) => &it.session,
        Event::ConnectionData(it) => &it.session,
        Event::RelayUpdate(it) => &it.session,
        Event::InviteUpdate(it) => &it.session,
        Event::SessionUpdate(it) => &it.session,
        Event::SessionAsked(it) => &it.session,
        Event::SessionRefused(it) => &it.session,
        Event::Notice(_) | Event::Asked(_) | Event::RegisteredElsewhere(_) => return None,
    })
}

/// What an event says.
pub(crate) fn of(event: &Event) -> String {
    match event {
        Event::Accept(it) => {
            let waits = if it.awaits_take { ", to be taken" } else { "" };
            format!("accept of {}{waits}", it.peer.endpoint.reveal())
        }
        Event::Decline(it) => format!("decline of {}: {}", it.endpoint.reveal(), it.reason),
        Event::Ringing(it) => format!("ringing of {}", it.endpoint.reveal()),
        Event::Cancel(it) => format!("cancel: {}", word(&it.reason)),
        Event::Outcome(it) => {
            let words = (it.endpoint.reveal(), word(&it.outcome), it.word.as_deref().unwrap_or_default());
            format!("outcome of {}: {} {}", words.0, words.1, words.2)
        }
        Event::Rerouted(it) => format!("rerouted to {} for {} ms", it.devices.len(), it.ring_ms),
        Event::SessionUpdate(it) => {
            let by = it.by.reveal();
            match &it.change {
                Change::Told { .. } => format!("told by {by}"),
                Change::Left { reason, renewed: Some(_) } => format!("left {by}: {reason}, renewed"),
                Change::Left { reason, renewed: None } => format!("left {by}: {reason}"),
                Change::Ended { reason } => format!("ended: {reason} by {by}"),
            }
        }
        Event::Taken(it) if it.renewed.is_some() => "taken, renewed".to_owned(),
        Event::Invite(_)
        | Event::Taken(_)
        | Event::RelayResponse(_)
        | Event::ConnectionData(_)
        | Event::RelayUpdate(_)
        | Event::InviteUpdate(_)
        | Event::SessionAsked(_)
        | Event::SessionRefused(_)
        | Event::Notice(_)
        | Event::Asked(_)
        | Event::RegisteredElsewhere(_) => event.kind().to_owned(),
    }
}

/// The ticket that takes the place of the former one.
pub(crate) fn renewed(event: &Event) -> Option<String> {
    let (Event::SessionUpdate(SessionChanged { change: Change::Left { renewed, .. }, .. })
    | Event::Taken(DeviceTaken { renewed, .. })) = event
    else {
        return None;
    };
    renewed.as_ref().map(|renewed| renewed.ticket.clone())
}

pub(crate) fn invitation(state: InvitationState) -> String {
    word(&state)
}

/// Whether a ring was sent already is no matter of the reference.
pub(crate) fn leg(state: LegState) -> String {
    word(if state == LegState::Pushed { &LegState::Queued } else { &state })
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|it| it.as_str().map(str::to_owned)).unwrap()
}
