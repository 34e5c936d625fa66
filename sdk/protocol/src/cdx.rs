//! CDX on the wire: STUN Binding (RFC 8489) and two attributes of our own (NAT-1, HYB-1).
//!
//! A client asks both ports of CDX from the socket that it means to use for a session. Each request
//! carries [`OBSERVATION_REQUEST`], each answer [`OBSERVATION`]: the address that CDX saw, sealed,
//! so that the client can show it to the host but neither read nor change it. The text goes into
//! [`ConnectionData::observed`](crate::connection_data::ConnectionData::observed) as it is.
//!
//! An answer with an observation is never larger than its request, so that CDX amplifies nothing:
//! the client pads its request with the body of [`OBSERVATION_REQUEST`], [`REQUEST_PADDING`] zeros.
//! A request that is too small is answered as standard STUN, without the observation.
//!
//! Who has a connection to the host asks under its key instead, and nobody on the way reads along: [`own`].

pub mod own;

/// Comprehension-optional, of the range that an expert reviews (RFC 8489 §18.3): "seal what you see".
///
/// Its body is padding; the content is ignored.
pub const OBSERVATION_REQUEST: u16 = 0xD5C1;

/// Comprehension-optional: the sealed observation, base64url without padding.
pub const OBSERVATION: u16 = 0xD5C2;

/// Bytes of padding with which every request is large enough, over IPv4 and IPv6.
pub const REQUEST_PADDING: usize = 240;

/// How long the host takes an observation for true.
pub const OBSERVATION_LIFE: core::time::Duration = core::time::Duration::from_mins(10);
