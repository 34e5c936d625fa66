//! The Binding request of STUN, which anybody may send.

use switchhook_core::stun::{Message, Writer, attribute, message_type};

use crate::{clients::Caller, relaying::Relaying};

impl Relaying {
    /// RFC 8489 §7.3.1: where the client is seen, whoever it is.
    pub(crate) fn answer_binding(&mut self, caller: &Caller, request: &Message<'_>) {
        if !self.host.may_answer(caller.addr.ip(), self.now) {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let unknown: Vec<u8> = request
            .attributes()
            .map(|(kind, _)| kind)
            .filter(|kind| must_refuse(*kind))
            .flat_map(u16::to_be_bytes)
            .collect();
        if unknown.is_empty() {
            let mut writer = Writer::new(&mut scratch, message_type::BINDING_SUCCESS, request.transaction());
            writer.xor_mapped_address(caller.addr);
            if request.attribute(attribute::FINGERPRINT).is_some() {
                writer.fingerprint();
            }
        } else {
            let mut writer = Writer::new(&mut scratch, message_type::BINDING_ERROR, request.transaction());
            writer.error_code(420);
            writer.attribute(attribute::UNKNOWN_ATTRIBUTES, &unknown);
        }
        self.answer(caller, &scratch);
        self.scratch = scratch;
    }
}

/// Whether an attribute of the request must be understood and is not. Credentials are, and are not looked at.
const fn must_refuse(kind: u16) -> bool {
    let known = matches!(
        kind,
        attribute::USERNAME
            | attribute::MESSAGE_INTEGRITY
            | attribute::MESSAGE_INTEGRITY_SHA256
            | attribute::REALM
            | attribute::NONCE
    );
    !known && !attribute::is_optional(kind)
}
