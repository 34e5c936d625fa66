//! Why a TURN request is refused, and its error code.

/// RFC 8489 §14.8, RFC 8656 §19, RFC 8016 and RFC 6062 §6.3, as far as the relay decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An attribute that the request needs is missing or wrong.
    BadRequest,
    /// No credentials, or none that count: wrong password, expired, forged, another relay host's.
    Unauthorized,
    /// The peer is one that nobody may send to, or connect to.
    Forbidden,
    /// Allocations stay where they were made.
    MobilityForbidden,
    /// An attribute must be understood and is not.
    UnknownAttribute,
    /// The client holds no allocation.
    AllocationMismatch,
    /// The nonce is too old or not for this client.
    StaleNonce,
    /// The relay has no address of the family asked for.
    AddressFamily,
    /// The allocation belongs to another participant.
    WrongCredentials,
    /// Peers are not reached that way here.
    UnsupportedTransport,
    /// The allocation has no address of the peer's family.
    PeerFamily,
    /// The allocation is connected with the peer, or is about to be.
    ConnectionExists,
    /// The peer does not answer, or refuses to be connected.
    ConnectionFailed,
    /// The participant, its session or its tenant holds as many allocations as it may.
    QuotaReached,
    /// The relay is full, or has not kept what is asked for.
    InsufficientCapacity,
}

impl Refusal {
    pub(crate) const ALL: [Self; 15] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::MobilityForbidden,
        Self::UnknownAttribute,
        Self::AllocationMismatch,
        Self::StaleNonce,
        Self::AddressFamily,
        Self::WrongCredentials,
        Self::UnsupportedTransport,
        Self::PeerFamily,
        Self::ConnectionExists,
        Self::ConnectionFailed,
        Self::QuotaReached,
        Self::InsufficientCapacity,
    ];

    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::MobilityForbidden => 405,
            Self::UnknownAttribute => 420,
            Self::AllocationMismatch => 437,
            Self::StaleNonce => 438,
            Self::AddressFamily => 440,
            Self::WrongCredentials => 441,
            Self::UnsupportedTransport => 442,
            Self::PeerFamily => 443,
            Self::ConnectionExists => 446,
            Self::ConnectionFailed => 447,
            Self::QuotaReached => 486,
            Self::InsufficientCapacity => 508,
        }
    }

    /// As a label of a metric.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden-peer",
            Self::MobilityForbidden => "mobility-forbidden",
            Self::UnknownAttribute => "unknown-attribute",
            Self::AllocationMismatch => "no-allocation",
            Self::StaleNonce => "stale-nonce",
            Self::AddressFamily => "address-family",
            Self::WrongCredentials => "wrong-credentials",
            Self::UnsupportedTransport => "unsupported-transport",
            Self::PeerFamily => "peer-family",
            Self::ConnectionExists => "connection-exists",
            Self::ConnectionFailed => "connection-failed",
            Self::QuotaReached => "quota-reached",
            Self::InsufficientCapacity => "insufficient-capacity",
        }
    }

    /// Whether the client should try again with the nonce that comes with the error.
    pub(crate) const fn is_challenge(self) -> bool {
        matches!(self, Self::Unauthorized | Self::StaleNonce)
    }
}
