//! By whom a user is rung: each identifier's own block list.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointId;

/// `block`: somebody rings an identifier of this device no more. A ring that has begun goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The own identifier.
    pub endpoint: EndpointId,
    /// Who is not to ring it.
    pub who: EndpointId,
}

/// `unblock`: somebody may ring an identifier of this device again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unblock {
    /// The own identifier.
    pub endpoint: EndpointId,
    /// Who may ring it.
    pub who: EndpointId,
}

/// `blocked`: who does not ring an identifier of this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// The own identifier.
    pub endpoint: EndpointId,
}

/// Answer to `blocked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedList {
    /// Who, in the order of the identifiers.
    pub who: Vec<EndpointId>,
}
