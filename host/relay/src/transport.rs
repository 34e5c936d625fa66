//! UDP and TCP, towards peers.

/// What an allocation and its peers exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Datagrams (RFC 8656).
    Udp,
    /// Connections (RFC 6062).
    Tcp,
}

impl Transport {
    /// As REQUESTED-TRANSPORT names it (RFC 8656 §18.7): by the protocol's number, in the first byte.
    pub(crate) const fn read(value: &[u8]) -> Option<Self> {
        match value {
            [17, ..] => Some(Self::Udp),
            [6, ..] => Some(Self::Tcp),
            _ => None,
        }
    }
}
