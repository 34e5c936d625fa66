//! What the report of a path teaches about two networks (NAT-3).
//!
//! Both sides report, and again when the path changes. A session teaches by its inviter's reports, so that it
//! counts once; only after a verdict that let a direct path be tried does the relay say that there was none.

use switchhook_protocol::call::PathKind;

use crate::ticket::{Judged, Role, SessionTicket};

/// One session's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lesson<'a> {
    /// The pair of networks, by its name.
    pub networks: &'a str,
    /// Whether the direct path worked.
    pub worked: bool,
}

/// What a participant's report teaches, if it teaches anything.
pub fn lesson(ticket: &SessionTicket, path: PathKind) -> Option<Lesson<'_>> {
    let Judged { direct: true, networks: Some(networks), .. } = ticket.judged.as_ref()? else { return None };
    let worked = match path {
        PathKind::Direct => true,
        PathKind::Relay => false,
    };
    (ticket.role == Role::Inviter).then_some(Lesson { networks, worked })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::testing::ticket;

    fn judged(direct: bool, networks: Option<&str>) -> Judged {
        Judged { direct, networks: networks.map(Into::into), ..Judged::default() }
    }

    #[test]
    fn nat_3_a_session_teaches_once_and_only_where_a_direct_path_was_tried() {
        let tried = ticket(Role::Inviter, Some(judged(true, Some("a-b"))));
        assert_eq!(lesson(&tried, PathKind::Direct), Some(Lesson { networks: "a-b", worked: true }));
        assert_eq!(lesson(&tried, PathKind::Relay), Some(Lesson { networks: "a-b", worked: false }));
        let invited = ticket(Role::Invited { user: 0 }, Some(judged(true, Some("a-b"))));
        assert_eq!(lesson(&invited, PathKind::Direct), None, "the inviter says the same");
        for judged in [Some(judged(false, Some("a-b"))), Some(judged(true, None)), None] {
            assert_eq!(lesson(&ticket(Role::Inviter, judged), PathKind::Relay), None);
        }
    }
}
