//! The relay of one session: credentials for both sides, and what one tells the other (REL-1 to REL-4, NAT-4).

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use rand_core::CryptoRng;
use switchhook_protocol::{
    error::ErrorCode,
    event::{Event, PeerRelayed, RelayGiven},
    id::TenantId,
    relay::{AddressFamily, RelayCredentials, RelayUpdate},
    time::{Timestamp, millis},
};

use crate::{
    invitation::{NEWS_LIFE, message},
    relay_host::RelayHost,
    relay_token::{RelayShare, RelayToken},
    row::Write,
    seal::KeyRing,
    ticket::{Alias, Member, SessionTicket},
};

/// How long relay credentials may be used to allocate: longer than any ring; renewed by `relay.request`.
pub const CREDENTIALS_LIFE: Duration = Duration::from_hours(1);

/// A relay host with the keys that its tokens are sealed under.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// The host.
    pub row: &'a RelayHost,
    /// Its keys.
    pub keys: &'a KeyRing,
    /// Its TURN realm.
    pub realm: &'a str,
    /// In which it and the other participant's host reach each other.
    pub family: Option<AddressFamily>,
}

/// Makes one participant's credentials for its relay host, which gives its tenant this share (REL-2).
pub fn credentials(
    host: Host<'_>,
    (tenant, share): (&TenantId, RelayShare),
    (ticket, member): (&SessionTicket, &Member),
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> RelayCredentials {
    let token = RelayToken {
        tenant: tenant.clone(),
        session: ticket.session.clone(),
        device: member.device.clone(),
        host: host.row.id.clone(),
        expires_at: now.after(CREDENTIALS_LIFE),
        share,
    };
    let minted = token.mint(host.keys, rng);
    RelayCredentials {
        server: host.row.said.addresses.main,
        servers: host.row.said.addresses.servers(),
        realm: String::from(host.realm),
        username: minted.username,
        password: minted.password,
        expires_in_ms: millis(CREDENTIALS_LIFE),
        // What a relay gives unasked needs no word.
        family: host.family.filter(|family| *family != AddressFamily::Ipv4),
    }
}

/// Gives the other side its credentials, after one side asked for the relay (NAT-4: nobody is rung).
pub fn give(
    ticket: &SessionTicket,
    peer_relay: RelayCredentials,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Write>, ErrorCode> {
    let event = Event::RelayResponse(RelayGiven { session: ticket.session.clone(), relay: peer_relay });
    let key = alloc::format!("relay-response/{}", ticket.session);
    let peer = &ticket.peer()?.device;
    Ok(alloc::vec![message(peer, &event, (Some(key), now.after(NEWS_LIFE)), rng)])
}

/// Tells the other side where the relay put this one (REL-4), and how the relay saw it. The latter only after a direct
/// verdict: after another one neither side is to know where the other is.
pub fn update(
    keys: &KeyRing,
    ticket: &SessionTicket,
    request: &RelayUpdate,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Write>, ErrorCode> {
    let alias = Alias { session: ticket.session.clone(), device: ticket.own.device.clone() };
    let event = Event::RelayUpdate(PeerRelayed {
        session: ticket.session.clone(),
        alias: alias.seal(keys, rng),
        relayed: request.relayed,
        observed: ticket.judged.as_ref().filter(|judged| judged.direct).map(|_| request.observed),
    });
    let key = alloc::format!("relay-update/{}/{}", ticket.session, ticket.own.device);
    let peer = &ticket.peer()?.device;
    Ok(alloc::vec![message(peer, &event, (Some(key), now.after(NEWS_LIFE)), rng)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        invitation::testing::{appended, keys},
        testing::TestRng,
        ticket::{Judged, Role, testing::ticket},
    };

    /// REL-4.one-host, NAT-3
    #[test]
    fn where_the_relay_saw_a_side_is_shown_after_a_direct_verdict_alone() {
        let direct = Judged { direct: true, ..Judged::default() };
        let until_accepted = Judged { until_accepted: true, ..Judged::default() };
        let request = RelayUpdate {
            ticket: String::new(),
            relayed: "192.0.2.10:49170".parse().unwrap(),
            observed: "198.51.100.9:50001".parse().unwrap(),
        };
        for (judged, shown) in [
            (Some(direct), Some(request.observed)),
            (Some(until_accepted), None),
            (Some(Judged::default()), None),
            (None, None),
        ] {
            let ticket = ticket(Role::Inviter, judged);
            let now = Timestamp::from_millis(1);
            let writes = update(&keys(), &ticket, &request, now, &mut TestRng(1)).unwrap();
            let sent = appended(&writes);
            let [(device, Event::RelayUpdate(told))] = &sent[..] else { panic!("{sent:?}") };
            assert_eq!(device, &ticket.peer.unwrap().device);
            assert_eq!((told.relayed, told.observed), (request.relayed, shown));
        }
    }
}
