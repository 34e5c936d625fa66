//! Numbers of TURN (RFC 8656 §17, §18; RFC 6062 §6), beside those of STUN in `core`.

use switchhook_core::stun::attribute as stun;

/// Message types: class and method as they stand on the wire.
pub(crate) mod message_type {
    pub(crate) const ALLOCATE: u16 = 0x0003;
    pub(crate) const REFRESH: u16 = 0x0004;
    pub(crate) const CREATE_PERMISSION: u16 = 0x0008;
    pub(crate) const CHANNEL_BIND: u16 = 0x0009;
    pub(crate) const CONNECT: u16 = 0x000A;
    pub(crate) const CONNECTION_BIND: u16 = 0x000B;
    pub(crate) const SEND: u16 = 0x0016;
    pub(crate) const DATA: u16 = 0x0017;
    pub(crate) const CONNECTION_ATTEMPT: u16 = 0x001C;
    /// Added to a request's type it is that of its answer.
    pub(crate) const SUCCESS: u16 = 0x0100;
    /// Added to a request's type it is that of its refusal.
    pub(crate) const ERROR: u16 = 0x0110;
}

/// Attribute types.
pub(crate) mod attribute {
    pub(crate) const CHANNEL_NUMBER: u16 = 0x000C;
    pub(crate) const LIFETIME: u16 = 0x000D;
    pub(crate) const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub(crate) const DATA: u16 = 0x0013;
    pub(crate) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub(crate) const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
    pub(crate) const EVEN_PORT: u16 = 0x0018;
    pub(crate) const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub(crate) const DONT_FRAGMENT: u16 = 0x001A;
    pub(crate) const RESERVATION_TOKEN: u16 = 0x0022;
    pub(crate) const CONNECTION_ID: u16 = 0x002A;
    pub(crate) const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
    pub(crate) const ADDRESS_ERROR_CODE: u16 = 0x8001;
    pub(crate) const ICMP: u16 = 0x8004;
    /// RFC 8016.
    pub(crate) const MOBILITY_TICKET: u16 = 0x8030;
}

/// Channel numbers that a client may bind.
///
/// RFC 8656 §12 ends at 0x4FFF; clients of RFC 5766, coturn's among them, choose up to 0x7FFF.
pub(crate) const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x7FFF;

/// Whether an attribute of a request must be understood and is not.
pub(crate) const fn must_refuse(kind: u16) -> bool {
    let known = matches!(
        kind,
        stun::USERNAME
            | stun::REALM
            | stun::NONCE
            // Covered where the stronger integrity follows it.
            | stun::MESSAGE_INTEGRITY
            | stun::MESSAGE_INTEGRITY_SHA256
            | stun::PASSWORD_ALGORITHM
            | attribute::CHANNEL_NUMBER
            | attribute::LIFETIME
            | attribute::XOR_PEER_ADDRESS
            | attribute::DATA
            | attribute::REQUESTED_ADDRESS_FAMILY
            | attribute::EVEN_PORT
            | attribute::REQUESTED_TRANSPORT
            | attribute::DONT_FRAGMENT
            | attribute::RESERVATION_TOKEN
            | attribute::CONNECTION_ID
    );
    !known && !stun::is_optional(kind)
}
