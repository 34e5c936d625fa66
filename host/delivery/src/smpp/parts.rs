//! Long texts of phones come in parts, one by one, in any order, perhaps over several binds: each is handed on as it
//! comes, and whoever keeps them joins them.

use switchhook_protocol::endpoint::EndpointId;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The sender's number.
    pub from: EndpointId,
    /// The number or short code it was sent to.
    pub to: String,
    /// What this part says.
    pub text: String,
    /// The sender's own number of the text.
    pub reference: u16,
    /// How many parts it has; at most [`crate::limits::SMPP_PARTS`].
    pub total: u8,
    /// Which one this is, from 1 to the last.
    pub number: u8,
}
