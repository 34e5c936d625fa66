//! What a shard waits for, and the tokens by which the system tells it what has come.

use mio::Token;

use crate::{family::Family, outgoing::Via};

/// What a socket is waited for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// Messages of streams, and the relay's own orders.
    Inbox,
    /// A socket.
    Socket(Via),
}

/// Inbox, and two doors.
const OTHERS: usize = 3;

impl Awaited {
    pub(crate) const fn token(self) -> Token {
        Token(match self {
            Self::Inbox => 0,
            Self::Socket(Via::Door(Family::V4)) => 1,
            Self::Socket(Via::Door(Family::V6)) => 2,
            Self::Socket(Via::Relayed(key, Family::V4)) => OTHERS + 2 * key,
            Self::Socket(Via::Relayed(key, Family::V6)) => OTHERS + 2 * key + 1,
        })
    }

    pub(crate) const fn of(token: Token) -> Self {
        match token {
            Token(0) => Self::Inbox,
            Token(1) => Self::Socket(Via::Door(Family::V4)),
            Token(2) => Self::Socket(Via::Door(Family::V6)),
            Token(number) => {
                let number = number - OTHERS;
                let family = if number.is_multiple_of(2) { Family::V4 } else { Family::V6 };
                Self::Socket(Via::Relayed(number / 2, family))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_is_told_by_its_token() {
        let sockets = [(0, Family::V4), (0, Family::V6), (7, Family::V4), (7, Family::V6)];
        let relayed = sockets.map(|(key, family)| Awaited::Socket(Via::Relayed(key, family)));
        let doors = Family::BOTH.map(|family| Awaited::Socket(Via::Door(family)));
        for awaited in relayed.into_iter().chain(doors).chain([Awaited::Inbox]) {
            assert_eq!(Awaited::of(awaited.token()), awaited);
        }
    }
}
