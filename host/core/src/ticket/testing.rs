//! Tickets for tests of what rests on one.

use switchhook_protocol::time::Timestamp;

use super::{Judged, MediaKey, Member, Role, SessionTicket};
use crate::testing::TestRng;

/// Alice's, who invites, or Bob's: of one session, for the other one, until the end of the tests' time.
pub(crate) fn ticket(role: Role, judged: Option<Judged>) -> SessionTicket {
    let (own, peer) = if role == Role::Inviter { ("alice", "bob") } else { ("bob", "alice") };
    let member =
        |device: &str| Member { device: device.parse().unwrap(), endpoint: "+15550101".parse().unwrap() };
    SessionTicket {
        session: "s1".parse().unwrap(),
        application: "app".parse().unwrap(),
        generation: 1,
        role,
        own: member(own),
        peer: Some(member(peer)),
        media_key: MediaKey::mint(&mut TestRng(3)),
        direct_failures: 0,
        judged,
        expires_at: Timestamp::from_millis(2_000_000_000_000),
    }
}
